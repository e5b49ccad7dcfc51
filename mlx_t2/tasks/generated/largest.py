"""`largest`: which of three numbers is the largest?

One question: `84, 17, 74`, answer `84`. The position of the answer is the trap: a model that
always repeats the first number earns a third, and stops learning. So every training step asks
the same three numbers in all three rotations, where each fixed position earns exactly a third.

Does not know prompts or models.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import combinations
from random import Random

from ..task import SPLITS
from .domain import Question, split_of

Triple = tuple[int, int, int]

_SALT = "mathematics"
_SHOWN = (11, 14, 20)
"""The example turn with two-digit numbers: never asked."""


class Largest:
    """Three different numbers from 10 to 99; the split is that of the set of the three."""

    name = "largest"
    salt = _SALT
    description = "the largest of three numbers"
    system = "Say the largest number."
    examples = (("3, 8, 5", "8"), ("20, 14, 11", "20"))
    max_tokens = 6
    kinds = ("first", "second", "third")

    def draw(self, split: str, kinds: Iterable[str], rng: Random) -> Iterator[Question]:
        triples = rng.sample(_triples()[split], len(_triples()[split]))
        for (low, middle, high), kind in zip(triples, kinds, strict=False):
            others = (low, middle) if rng.random() < 0.5 else (middle, low)
            yield self._question((high, *others), kind)

    def step(self, kinds: Sequence[str], rng: Random) -> list[Question]:
        triples = rng.sample(_triples()["train"], -(-len(kinds) // 3))
        bases = [(high, *rng.sample((low, middle), 2)) for low, middle, high in triples]
        return [self._question(bases[i // 3], kind) for i, kind in enumerate(kinds)]

    def grade(self, attempts: Sequence[tuple[str, str, str]]) -> list[float]:
        return [float(completion.strip() == answer) for _, answer, completion in attempts]

    def choice(self, identity: str, completion: str) -> str:
        """The position of the number said."""
        numbers = identity.partition("/")[2].split("-")
        said = completion.strip()
        return self.kinds[numbers.index(said)] if said in numbers else "none of them"

    def _question(self, largest_first: Sequence[int], kind: str) -> Question:
        shift = self.kinds.index(kind)
        numbers = [str(largest_first[(i - shift) % 3]) for i in range(3)]
        return Question(
            f"{self.name}/{'-'.join(numbers)}", ", ".join(numbers), numbers[shift], kind
        )


@cache
def _triples() -> dict[str, list[Triple]]:
    """Every triple, low to high, under its split."""
    found: dict[str, list[Triple]] = {split: [] for split in SPLITS}
    for triple in combinations(range(10, 100), 3):
        if triple != _SHOWN:
            found[split_of(_SALT, "-".join(map(str, triple)))].append(triple)
    return found
