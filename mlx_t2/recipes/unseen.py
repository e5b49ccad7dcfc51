"""A domain that no expert was trained on, made by combining two: the largest of three numbers,
asked for as a Python expression.

One question: `the largest of the numbers x, age and debt`, answer `max(x, age, debt)`; graded
as `expression` is, by value and type, but in 27 environments in place of three: in three a name
alone is the largest once in 27 times, and the larger of two is 8 times in 27.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from random import Random

from mlx_t2.grading import RIGHT, Attempt, Grade, Grader
from mlx_t2.tasks import DatasetTask, Message, Question, Row, Task, get_task, grade_expressions

_NAMES = (
    *("x", "n", "a", "b", "k", "m", "age", "price", "count", "total", "score", "width"),
    *("speed", "year", "day", "hour", "size", "cost"),
)
_ENDS = (60, 75, 100)
"""Per cent of the questions up to which they are train, validation and test."""
_SPLITS = ("train", "validation", "test")
_ROUNDS = 9
"""Times that values are drawn, for three environments each."""


def make_unseen(prompt: Sequence[Message]) -> Task:
    """The task behind this prompt."""
    return DatasetTask(
        name="largest-expression",
        domain="largest-expression",
        description="the largest of three numbers as one Python expression",
        rows=lambda split: _rows()[split],
        source="generated; by a seeded order, 60 % train, 15 % validation, 25 % test",
        template=_ask,
        grader=Grader(grade=_grade, rule=_RULE),
        max_tokens=get_task("expression").max_tokens,
        prompt=tuple(prompt),
    )


_RULE = "1 for an expression with the value of the answer in 27 random environments, else 0"


def _grade(attempts: Sequence[Attempt]) -> list[Grade]:
    """Right where a completion is in every round; the values depend on the question's text."""
    rounds = [
        grade_expressions([replace(one, question=one.question + k * " ") for one in attempts])
        for k in range(_ROUNDS)
    ]
    return [
        next((g for g in one if not g.is_right), RIGHT) for one in zip(*rounds, strict=True)
    ]


@cache
def _rows() -> dict[str, list[dict[str, str]]]:
    triples = list(combinations(_NAMES, 3))
    Random("largest-expression").shuffle(triples)
    rows = [
        {
            "text": f"the largest of the numbers {a}, {b} and {c}",
            "answer": f"max({a}, {b}, {c})",
        }
        for a, b, c in triples
    ]
    ends = [0, *(len(rows) * end // 100 for end in _ENDS)]
    return {name: rows[ends[i] : ends[i + 1]] for i, name in enumerate(_SPLITS)}


def _ask(row: Row) -> Question:
    text = row["text"]
    return Question(f"largest-expression/{text}", text, row["answer"], "max")
