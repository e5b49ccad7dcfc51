"""Problems → graded completions. Knows that tasks grade; does not know what the rewards are
used for.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import Grade, cut_off, describe, read_number
from mlx_t2.models import SVFModel
from mlx_t2.reading import BaseReadings
from mlx_t2.tasks import Problem, Task

from .choices import Choice, score_options, wearing_rows, weigh
from .completions import Completion, finished_completions, sample
from .draw import SamplingConfig, row_keys, uniforms_at
from .early_grading import EarlyGrading


@dataclass(frozen=True)
class Rollout:
    """One problem, its completions and what each of them earned."""

    problem: Problem
    prompt: tuple[int, ...]
    completions: tuple[Completion, ...]
    grades: tuple[Grade, ...]
    scores: tuple[float, ...] | None = None
    """The score of each completion, where they are all of the problem's options, see `choices`;
    None where they were drawn.
    """

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
    """`group` graded completions per problem, drawn from the policy: of a problem with options
    the one over its options, else the model's own.

    numbers: of the problems, see `sample`.
    Raises: what the task's grader raises; TaskDataError where there is not one grade for each
        completion, or one below the least that the task says it gives.
    """
    return _rollouts(model, task, problems, group, config, numbers, _draw_options)


def enumerate_rollouts(
    model: SVFModel,
    task: Task,
    problems: Sequence[Problem],
    group: int,
    config: SamplingConfig,
    numbers: Sequence[int] | None = None,
    readings: BaseReadings | None = None,
) -> list[Rollout]:
    """As `rollouts`, but a problem with options has each of them as a completion, once, with
    its score, whatever the group: what an expectation over the policy needs.
    """
    return _rollouts(model, task, problems, group, config, numbers, _all_options, readings)


def _rollouts(
    model: SVFModel,
    task: Task,
    problems: Sequence[Problem],
    group: int,
    config: SamplingConfig,
    numbers: Sequence[int] | None,
    choose: Callable[[Choice, int, SamplingConfig, int], "_Answers"],
    readings: BaseReadings | None = None,
) -> list[Rollout]:
    prompts = [model.encode(problem.messages) for problem in problems]
    numbers = range(len(problems)) if numbers is None else numbers
    free = [i for i, problem in enumerate(problems) if not problem.options]
    given = [i for i, problem in enumerate(problems) if problem.options]
    answers: dict[int, _Answers] = {}
    early = EarlyGrading(task)
    if free:
        with wearing_rows(model, free):
            chosen, known = [prompts[i] for i in free], [numbers[i] for i in free]
            drawn = sample(
                *(model, chosen, config, group, known),
                on_end=lambda i, text: early.begin(problems[free[i]], text),
                readings=readings,
            )
        answers |= {i: _Answers(tuple(own)) for i, own in zip(free, drawn, strict=True)}
    if given:
        options, names = [problems[i].options for i in given], [problems[i].id for i in given]
        with wearing_rows(model, given):
            choices = score_options(
                model, [prompts[i] for i in given], options, names, config.max_rows, readings
            )
        answers |= {
            i: choose(choice, group, config, numbers[i])
            for i, choice in zip(given, choices, strict=True)
        }
    asked = [(problems[i], one) for i in range(len(problems)) for one in answers[i].completions]
    grades = iter(grade_completions(task, asked, early.grade))
    return [
        Rollout(
            problems[i],
            tuple(prompts[i]),
            answers[i].completions,
            tuple(next(grades) for _ in answers[i].completions),
            answers[i].scores,
        )
        for i in range(len(problems))
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
    """What `rollouts` returns for problems without options: (problem, its rollout) as they end.
    One that ends makes room for one that waits: none waits for the longest of a batch.

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


@dataclass(frozen=True)
class _Answers:
    """The completions of one problem."""

    completions: tuple[Completion, ...]
    scores: tuple[float, ...] | None = None


def _all_options(choice: Choice, group: int, config: SamplingConfig, number: int) -> _Answers:
    every = tuple(_as_completion(choice, i) for i in range(len(choice.texts)))
    return _Answers(every, choice.scores)


def _draw_options(choice: Choice, group: int, config: SamplingConfig, number: int) -> _Answers:
    """Some options, each drawn by a number of its own, as the tokens of a row are."""
    if config.temperature == 0:
        return _Answers((_as_completion(choice, choice.best),) * group)
    keys = row_keys(config.seed, [(number, copy) for copy in range(group)])
    uniforms: Any = uniforms_at(keys, [0] * group).tolist()
    ends = list(accumulate(weigh(choice.scores, config.temperature)))
    drawn = [bisect_right(ends, u * ends[-1]) for u in uniforms]
    return _Answers(tuple(_as_completion(choice, min(i, len(ends) - 1)) for i in drawn))


def _as_completion(choice: Choice, i: int) -> Completion:
    """It ends where its text does: no limit cuts it off."""
    return Completion(choice.tokens[i], choice.texts[i], is_finished=True)


def grade_completions(
    task: Task,
    attempts: Sequence[tuple[Problem, Completion]],
    ask: Callable[[Sequence[tuple[Problem, str]]], Any] | None = None,
) -> list[Grade]:
    """One grade per completion, in order. One that the limit ended has not answered: it is
    wrong and earns the least that a wrong answer can.

    ask: gives the task's grades, where they were begun before.
    Raises: TaskDataError where the task gives anything else than a Grade for each completion.
    """
    texts = [(problem, completion.text) for problem, completion in attempts]
    grades = _ask_grades(task, texts, ask or task.grade)
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


def _ask_grades(
    task: Task,
    attempts: Sequence[tuple[Problem, str]],
    ask: Callable[[Sequence[tuple[Problem, str]]], Any],
) -> list[Grade]:
    """The task's grades, as many as there are attempts. A task is other people's code: what it
    gives is looked at once, here, before anything is made of it.
    """
    where, n = task.name, len(attempts)
    try:
        given = ask(attempts)
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
