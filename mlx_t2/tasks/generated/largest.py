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

from mlx_t2.grading import Attempt, Grade, Grader, grade_text

from ..task import SPLITS, Problem, Question, question_of
from .domain import Domain, split_of

Triple = tuple[int, int, int]

_SALT = "mathematics"
_SHOWN = (11, 14, 20)
"""The example turn with two-digit numbers: never asked."""


_KINDS = ("first", "second", "third")
"""Positions of the answer."""


def _draw(split: str, kinds: Iterable[str], rng: Random) -> Iterator[Question]:
    triples = rng.sample(_triples()[split], len(_triples()[split]))
    for (low, middle, high), kind in zip(triples, kinds, strict=False):
        others = (low, middle) if rng.random() < 0.5 else (middle, low)
        yield _question((high, *others), kind)


def _draw_step(kinds: Sequence[str], rng: Random) -> list[Question]:
    pool = _triples()["train"]
    triples = rng.sample(pool, min(len(pool), -(-len(kinds) // 3)))
    bases = [(high, *rng.sample((low, middle), 2)) for low, middle, high in triples]
    return [_question(bases[i // 3], kind) for i, kind in enumerate(kinds[: 3 * len(bases)])]


def _question(largest_first: Sequence[int], kind: str) -> Question:
    shift = _KINDS.index(kind)
    numbers = [str(largest_first[(i - shift) % 3]) for i in range(3)]
    return Question(f"largest/{'-'.join(numbers)}", ", ".join(numbers), numbers[shift], kind)


def _grade(attempts: Sequence[Attempt]) -> list[Grade]:
    return [grade_text(a.completion.strip(), a.answer) for a in attempts]


def _choose(problem: Problem, completion: str) -> str:
    """The position of the number said."""
    numbers, said = question_of(problem)["content"].split(", "), completion.strip()
    return _KINDS[numbers.index(said)] if said in numbers else "none of them"


@cache
def _triples() -> dict[str, list[Triple]]:
    """Every triple, low to high, under its split."""
    found: dict[str, list[Triple]] = {split: [] for split in SPLITS}
    for triple in combinations(range(10, 100), 3):
        if triple != _SHOWN:
            found[split_of(_SALT, "-".join(map(str, triple)))].append(triple)
    return found


LARGEST = Domain(
    name="largest",
    salt=_SALT,
    description="the largest of three numbers",
    system="Say the largest number.",
    examples=(("3, 8, 5", "8"), ("20, 14, 11", "20")),
    max_tokens=6,
    kinds=_KINDS,
    draw=_draw,
    draw_step=_draw_step,
    grader=Grader(grade=_grade, rule="1 for the number and nothing else, else 0"),
    choose=_choose,
)
"""Three different numbers from 10 to 99; the split is that of the set of the three."""
