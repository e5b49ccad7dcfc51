"""Problems → graded completions. Knows that tasks grade; does not know what the rewards are
used for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import Grade, cut_off, describe, read_number
from mlx_t2.models import SVFModel
from mlx_t2.tasks import Problem, Task

from .completions import Completion, finished_completions, sample
from .draw import SamplingConfig


@dataclass(frozen=True)
class Rollout:
    """One problem, its completions and what each of them earned."""

    problem: Problem
    prompt: tuple[int, ...]
    completions: tuple[Completion, ...]
    grades: tuple[Grade, ...]

    @property
    def rewards(self) -> tuple[float, ...]:
        """The rewards of the grades."""
        return tuple(grade.reward for grade in self.grades)


def rollouts(
    model: SVFModel,
    task: Task,
    problems: Sequence[Problem],
    group: int,
    config: SamplingConfig,
    numbers: Sequence[int] | None = None,
) -> list[Rollout]:
    """`group` graded completions per problem.

    numbers: of the problems, see `sample`.
    Raises: what the task's grader raises; TaskDataError where there is not one grade for each
        completion, or one below the least that the task says it gives.
    """
    prompts = [model.encode(problem.messages) for problem in problems]
    completions_P_G = sample(model, prompts, config, group, numbers)
    asked = [problem for problem in problems for _ in range(group)]
    flat = [completion for completions in completions_P_G for completion in completions]
    grades = grade_completions(task, list(zip(asked, flat, strict=True)))
    return [
        Rollout(problem, tuple(prompt), tuple(completions), tuple(grades[i : i + group]))
        for i, problem, prompt, completions in zip(
            range(0, len(grades), group), problems, prompts, completions_P_G, strict=True
        )
    ]


def finished_rollouts(
    model: SVFModel,
    task: Task,
    problems: Sequence[Problem],
    group: int,
    config: SamplingConfig,
    numbers: Sequence[int] | None = None,
    graded: int = 32,
) -> Iterator[tuple[int, Rollout]]:
    """What `rollouts` returns: (problem, its rollout) as they end, where the policy writes
    text. One that ends makes room for one that waits, so none waits for the longest of a batch.

    graded: problems that are graded at a time.
    Raises: as `rollouts` does.
    """
    prompts = [model.encode(problem.messages) for problem in problems]
    ended: list[tuple[int, list[Completion]]] = []
    for one in finished_completions(model, prompts, config, group, numbers):
        ended.append(one)
        if len(ended) == graded:
            yield from _grade_ended(task, problems, prompts, ended)
            ended = []
    yield from _grade_ended(task, problems, prompts, ended)


def _grade_ended(
    task: Task,
    problems: Sequence[Problem],
    prompts: Sequence[Sequence[int]],
    ended: Sequence[tuple[int, list[Completion]]],
) -> Iterator[tuple[int, Rollout]]:
    attempts = [(problems[i], one) for i, completions in ended for one in completions]
    grades = iter(grade_completions(task, attempts) if attempts else [])
    for i, completions in ended:
        earned = tuple(islice(grades, len(completions)))
        yield i, Rollout(problems[i], tuple(prompts[i]), tuple(completions), earned)


def grade_completions(
    task: Task, attempts: Sequence[tuple[Problem, Completion]]
) -> list[Grade]:
    """One grade per completion, in order. One that the limit ended has not answered: it is
    wrong and earns the least that a wrong answer can.

    Raises: TaskDataError where the task gives anything else than a Grade for each completion.
    """
    grades = _ask_grades(task, [(problem, completion.text) for problem, completion in attempts])
    worst = read_number(task.worst_reward)
    if worst is None:
        raise TaskDataError(
            f"{task.name}: got worst_reward {describe(task.worst_reward)}, expected a finite "
            "number"
        )
    for grade in grades:
        if grade.reward < worst:
            raise TaskDataError(
                f"{task.name}: got reward {grade.reward:g} ({grade.reason}), expected at least "
                f"the task's worst_reward, {worst:g}"
            )
    return [
        grade if completion.is_finished else cut_off(len(completion.tokens), worst, grade)
        for grade, (_, completion) in zip(grades, attempts, strict=True)
    ]


def _ask_grades(task: Task, attempts: Sequence[tuple[Problem, str]]) -> list[Grade]:
    """The task's grades, as many as there are attempts. A task is other people's code: what it
    gives is looked at once, here, before anything is made of it.
    """
    where, n = task.name, len(attempts)
    try:
        given: Any = task.grade(attempts)
    except TaskDataError as error:
        raise TaskDataError(f"{where}: one of {n} completions: {error}") from error
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise TaskDataError(f"{where}: got {describe(given)}, expected {n} grades in a list")
    try:
        grades = list(islice(given, n + 1))
    except TaskDataError as error:
        raise TaskDataError(f"{where}: one of {n} completions: {error}") from error
    if len(grades) != n:
        got = f"more than {n}" if len(grades) > n else len(grades)
        raise TaskDataError(
            f"{where}: got {got} grades for {n} completions, expected one for each"
        )
    return [_read_grade(where, i, n, grade) for i, grade in enumerate(grades, 1)]


def _read_grade(where: str, number: int, n: int, grade: Any) -> Grade:
    """The grade, if it is one; a class of its own may have left its fields unchecked."""
    if not isinstance(grade, Grade):
        raise TaskDataError(
            f"{where}: grade {number} of {n}: got {describe(grade)}, expected "
            "Grade(reward, is_right, reason)"
        )
    try:
        return Grade(
            grade.reward,
            grade.is_right,
            str(grade.reason),
            grade.is_strict,
            grade.is_lenient,
        )
    except TaskDataError as error:
        raise TaskDataError(f"{where}: grade {number} of {n}: {error}") from error


def held_out_accuracy(
    model: SVFModel, task: Task, problems: Sequence[Problem], batch: int = 64
) -> float:
    """Share of problems answered rightly by greedy decoding.

    batch: problems answered at once.
    """
    starts = range(0, len(problems), batch)
    right = sum(count_right(model, task, problems[i : i + batch]) for i in starts)
    return right / len(problems)


def count_right(model: SVFModel, task: Task, problems: Sequence[Problem]) -> int:
    """How many of the problems greedy decoding answers rightly, all read in one go."""
    greedy = SamplingConfig(temperature=0, max_tokens=task.max_tokens)
    answered = rollouts(model, task, problems, 1, greedy)
    return sum(rollout.grades[0].is_right for rollout in answered)
