"""Completions that are graded while others are still drawn.

Only where the task can begin a grade and be asked for it later, as one that runs programs
outside this process can; all others are graded at the end, at once.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from mlx_t2.grading import Grade
from mlx_t2.tasks import Problem, Task


@runtime_checkable
class CanBegin(Protocol):
    """A task that can begin to grade."""

    def begin(
        self, attempts: Sequence[tuple[Problem, str]]
    ) -> Callable[[], list[Grade]] | None:
        """What waits for the grades; None where its grader cannot begin."""
        ...


class EarlyGrading:
    """The grades of a task, begun as soon as there is a text."""

    def __init__(self, task: Task):
        self._task = task
        self._waits: dict[tuple[str, str], Callable[[], list[Grade]]] = {}

    def begin(self, problem: Problem, text: str) -> None:
        """Begin to grade a completion, if the task can; the same one is graded once."""
        key = problem.id, text
        if isinstance(self._task, CanBegin) and key not in self._waits:
            wait = self._task.begin([(problem, text)])
            if wait is not None:
                self._waits[key] = wait

    def grade(self, attempts: Sequence[tuple[Problem, str]]) -> list[Grade]:
        """The grades, in order, of completions of which any may have been begun."""
        if not self._waits:
            return self._task.grade(attempts)
        for problem, text in attempts:
            self.begin(problem, text)
        grades = {key: wait()[0] for key, wait in self._waits.items()}
        return [grades[problem.id, text] for problem, text in attempts]
