"""`expression`: write one Python expression.

One question: `the largest item of the list ages`, answer `max(ages)`. Any expression with the
same value and type on three random environments is right; see `expressions.py`.

Does not know prompts or models, nor how an expression is run.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from random import Random

from mlx_t2.grading import Grader

from ..balance import pick_shuffled
from ..task import Question
from .domain import Domain, split_of
from .expressions import grade_expressions
from .words import LISTS, NUMBERS, STRINGS

_WORDINGS = (
    ("sum", LISTS, "the sum of the list {v}", "sum({v})"),
    ("plus", NUMBERS, "the number {v} plus {c}", "{v} + {c}"),
    ("upper", STRINGS, "the string {v} in upper case", "{v}.upper()"),
    ("length", LISTS, "the length of the list {v}", "len({v})"),
    ("first items", LISTS, "the first {c} items of the list {v}", "{v}[:{c}]"),
    ("times", NUMBERS, "the number {v} times {c}", "{v} * {c}"),
    ("largest", LISTS, "the largest item of the list {v}", "max({v})"),
    ("repeat", STRINGS, "the string {v} repeated {c} times", "{v} * {c}"),
    ("index", LISTS, "the item at index {c} of the list {v}", "{v}[{c}]"),
    ("square", NUMBERS, "the square of the number {v}", "{v} * {v}"),
    ("last item", LISTS, "the last item of the list {v}", "{v}[-1]"),
    ("remainder", NUMBERS, "the remainder of the number {v} divided by {c}", "{v} % {c}"),
    ("sorted", LISTS, "the list {v} in sorted order", "sorted({v})"),
    ("lower", STRINGS, "the string {v} in lower case", "{v}.lower()"),
    ("smallest", LISTS, "the smallest item of the list {v}", "min({v})"),
    ("greater", NUMBERS, "whether the number {v} is greater than {c}", "{v} > {c}"),
    ("reversed", LISTS, "the list {v} reversed", "{v}[::-1]"),
    ("minus", NUMBERS, "the number {v} minus {c}", "{v} - {c}"),
    ("characters", STRINGS, "the length of the string {v}", "len({v})"),
    ("last items", LISTS, "the last {c} items of the list {v}", "{v}[-{c}:]"),
)
"""(kind, variable names, question, reference); neighbours ask for different types."""

_SALT = "code"


def _draw(split: str, kinds: Iterable[str], rng: Random) -> Iterator[Question]:
    return pick_shuffled(_questions(split), kinds, rng)


def _draw_step(kinds: Sequence[str], rng: Random) -> list[Question]:
    return list(_draw("train", kinds, rng))


@cache
def _questions(split: str) -> dict[str, list[Question]]:
    """Every question of the split, by kind."""
    pools: dict[str, list[Question]] = {}
    for kind, names, question, answer in _WORDINGS:
        constants = range(2, 21) if "{c}" in question else range(1)
        texts = [(question.format(v=v, c=c), v, c) for v in names for c in constants]
        pools[kind] = [
            Question(
                f"expression/{text.replace(' ', '-')}",
                text,
                answer.format(v=v, c=c),
                kind,
                cluster=f"expression/{kind}",
            )
            for text, v, c in texts
            if split_of(_SALT, text) == split
        ]
    return pools


EXPRESSION = Domain(
    name="expression",
    salt=_SALT,
    description="one Python expression",
    system="Write a Python expression.",
    examples=(
        ("the absolute value of the number y", "abs(y)"),
        ("the first item of the list q", "q[0]"),
    ),
    max_tokens=14,
    kinds=tuple(kind for kind, *_ in _WORDINGS),
    draw=_draw,
    draw_step=_draw_step,
    grader=Grader(
        grade=grade_expressions,
        rule="1 for an allowed expression that gives the answer's value and type in three "
        "environments, else 0",
    ),
)
"""A kind of expression, a variable name and, for some kinds, a number from 2 to 20."""
