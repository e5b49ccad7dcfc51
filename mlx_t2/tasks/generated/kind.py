"""`kind`: what kind of thing is it?

One question: `my old saw`, answer `tool`. The split is that of the noun, so the nouns of the
test never occur in training: it asks for meaning, not memory.

Does not know prompts or models.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from random import Random

from .domain import Question, pick, split_of
from .words import ADJECTIVES, NOUNS, OWNERS

_SALT = "reasoning"


class Kind:
    """Owner, adjective and noun; the answer is the noun's kind, one of seven."""

    name = "kind"
    salt = _SALT
    description = "the kind of a thing, for nouns not seen in training"
    system = "Answer animal, food, vehicle, tool, clothing, instrument or color."
    examples = (("a tiny ant", "animal"), ("my old plum", "food"))
    max_tokens = 5
    kinds = tuple(NOUNS)

    def draw(self, split: str, kinds: Iterable[str], rng: Random) -> Iterator[Question]:
        pools = {kind: _phrases(kind, nouns_of(split, kind), rng) for kind in self.kinds}
        return pick(pools, kinds)

    def step(self, kinds: Sequence[str], rng: Random) -> list[Question]:
        return list(self.draw("train", kinds, rng))

    def grade(self, attempts: Sequence[tuple[str, str, str]]) -> list[float]:
        return [
            float(completion.strip().lower().removesuffix(".") == answer)
            for _, answer, completion in attempts
        ]

    def choice(self, identity: str, completion: str) -> str:
        return completion.strip().lower()


def nouns_of(split: str, kind: str) -> list[str]:
    """The nouns of a kind that the split asks about."""
    return [noun for noun in NOUNS[kind] if split_of(_SALT, noun) == split]


def _phrases(kind: str, nouns: list[str], rng: Random) -> Iterator[Question]:
    """Every noun once in random order, then every noun once more in another phrase."""
    order = rng.sample(nouns, len(nouns))
    pairs = list(product(OWNERS, ADJECTIVES))
    phrases = [rng.sample(pairs, len(pairs)) for _ in order]
    for turn in range(len(pairs)):
        for noun, shuffled in zip(order, phrases, strict=True):
            text = " ".join((*shuffled[turn], noun))
            yield Question(f"kind/{text.replace(' ', '-')}", text, kind, kind)
