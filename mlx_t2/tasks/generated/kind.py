"""`kind`: what kind of thing is it?

One question: `my old saw`, answer `tool`. The split is that of the noun, so the nouns of the
test never occur in training: it asks for meaning, not memory.

Does not know prompts or models.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from random import Random

from mlx_t2.grading import Attempt, Grade, Grader, grade_text

from ..balance import pick
from ..task import Question, bare_text
from .domain import Domain, split_of
from .words import ADJECTIVES, NOUNS, OWNERS

_SALT = "reasoning"


_KINDS = tuple(NOUNS)


def _draw(split: str, kinds: Iterable[str], rng: Random) -> Iterator[Question]:
    pools = {kind: _phrases(kind, nouns_of(split, kind), rng) for kind in _KINDS}
    return pick(pools, kinds)


def _draw_step(kinds: Sequence[str], rng: Random) -> list[Question]:
    return list(_draw("train", kinds, rng))


def _grade(attempts: Sequence[Attempt]) -> list[Grade]:
    return [grade_text(bare_text(a.completion).removesuffix("."), a.answer) for a in attempts]


def nouns_of(split: str, kind: str) -> list[str]:
    """The nouns of a kind that the split asks about."""
    return [noun for noun in NOUNS[kind] if split_of(_SALT, noun) == split]


def _phrases(kind: str, nouns: list[str], rng: Random) -> Iterator[Question]:
    """Every noun once in random order, then all again in other phrases, and so on."""
    order = rng.sample(nouns, len(nouns))
    pairs = list(product(OWNERS, ADJECTIVES))
    phrases = [rng.sample(pairs, len(pairs)) for _ in order]
    for turn in range(len(pairs)):
        for noun, shuffled in zip(order, phrases, strict=True):
            text = " ".join((*shuffled[turn], noun))
            id, cluster = f"kind/{text.replace(' ', '-')}", f"kind/{noun}"
            yield Question(id, text, kind, kind, cluster=cluster)


KIND = Domain(
    name="kind",
    salt=_SALT,
    description="the kind of a thing, for nouns not seen in training",
    system="Answer animal, food, vehicle, tool, clothing, instrument or color.",
    examples=(("a tiny ant", "animal"), ("my old plum", "food")),
    max_tokens=5,
    kinds=_KINDS,
    draw=_draw,
    draw_step=_draw_step,
    grader=Grader(
        grade=_grade, rule="1 for the kind alone, in either case, a full stop allowed, else 0"
    ),
)
"""Owner, adjective and noun; the answer is the noun's kind, one of seven."""
