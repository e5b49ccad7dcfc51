"""Whether a task grades as its maker means it to: its own answers, and some that are wrong.

Knows tasks; knows no files and no models.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import Attempt, Grade, make_grader

from .dataset import DatasetTask
from .task import ALL, REFERENCE, SPLITS, Problem, Task

_EVERY = 10**9
_NONSENSE = "I do not know."


@dataclass(frozen=True)
class GradedExample:
    """A completion that somebody could give, and its grade."""

    what: str
    """What it is: "the right answer"."""
    problem: Problem
    completion: str
    grade: Grade


@dataclass(frozen=True)
class Verification:
    """How the reference answers of a split were graded."""

    split: str
    n: int
    faults: Sequence[tuple[str, str]]
    """(identity of the problem, reason) of those that are not right."""
    seconds: float


def reference_of(problem: Problem) -> str:
    """A whole right completion: the worked solution where there is one, else the answer; empty
    where none is known.
    """
    return str(problem.row.get(REFERENCE, problem.answer))


def verify_references(task: Task, split: str | None = None) -> Verification:
    """Grade the reference of every problem.

    split: the whole published test part by default, or the test split where there is none.
    """
    whole = ALL if isinstance(task, DatasetTask) and task.has_all else "test"
    split = split or whole
    problems = task.problems(split, task.available(split, _EVERY))
    start = time.perf_counter()
    grades = task.grade([(problem, reference_of(problem)) for problem in problems])
    faults = [
        (problem.id, grade.reason)
        for problem, grade in zip(problems, grades, strict=True)
        if not grade.is_right
    ]
    return Verification(split, len(problems), faults, time.perf_counter() - start)


def verify_all(task: Task) -> Verification:
    """As `verify_references`, over all splits together."""
    parts = [verify_references(task, split) for split in SPLITS if split in task.splits]
    faults = [fault for part in parts for fault in part.faults]
    seconds = sum(part.seconds for part in parts)
    return Verification("all splits", sum(part.n for part in parts), faults, seconds)


def grade_examples(task: Task) -> list[GradedExample]:
    """A right answer, another problem's answer and nonsense to the first problem, graded.

    Raises: TaskDataError where the task has no problems.
    """
    split = next((split for split in SPLITS if split in task.splits), SPLITS[-1])
    problems = task.problems(split, task.available(split, 200))
    if not problems:
        raise TaskDataError(f"{task.name}: no problems in its {split} split")
    first = problems[0]
    others = [p for p in problems if p.answer.strip() != first.answer.strip()]
    others = [p for p in others if reference_of(p)]
    given = [("the right answer", reference_of(first))] if reference_of(first) else []
    given += [("another row's answer", reference_of(p)) for p in others[:1]]
    given.append(("a wrong answer", _NONSENSE))
    grades = task.grade([(first, completion) for _, completion in given])
    return [
        GradedExample(what, first, completion, grade)
        for (what, completion), grade in zip(given, grades, strict=True)
    ]


def grade_one(
    task: Task | str, answer: str, completion: str, row: Mapping[str, Any] | None = None
) -> Grade:
    """The grade of one completion to a question with that answer.

    task: a task, or the name of a grader.
    row: what the grader needs beside the answer: options, tests.
    Raises: TaskDataError for an answer that no completion could equal.
    """
    given = dict(row or {})
    grader = make_grader(task) if isinstance(task, str) else None
    if isinstance(task, DatasetTask):
        grader = task.grader
    if grader is not None:
        grader.check(answer, given, "answer")
        return grader.grade([Attempt("given", answer, completion, given)])[0]
    assert not isinstance(task, str)
    message = {"role": "user", "content": "given"}
    problem = Problem("given", (message,), answer, "", task.domain, row=given)
    return task.grade([(problem, completion)])[0]
