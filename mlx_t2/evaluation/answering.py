"""Answer the problems of a task under a strategy. Knows no training, no files, no reports."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from mlx_t2.adaptation import Adapted, Strategy, naming_experts
from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel, check_conversations
from mlx_t2.sampling import Rollout, SamplingConfig, finished_rollouts, rollouts
from mlx_t2.svf import Scales, Work, stack_rows
from mlx_t2.tasks import Problem, Task, question_of

from .items import GradedItem

_PASSES = 4
"""Batches of problems that one first pass is for, and that are then answered together."""

Numbered = Sequence[tuple[int, Problem]]
"""Problems with their places among all that are evaluated: samples are drawn by place."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which problems are answered, and how."""

    split: str = "test"
    limit: int = 400
    """Problems."""
    seed: int = 0
    """It orders the problems and draws the samples."""
    samples: int = 1
    """Answers to each problem."""
    temperature: float = 0.0
    """0 is greedy."""
    batch: int = 64
    """Answers decoded at a time."""

    def __post_init__(self) -> None:
        if self.limit < 1 or self.batch < 1 or self.samples < 1:
            raise ConfigError(
                f"evaluate: got limit {self.limit}, batch {self.batch} and samples "
                f"{self.samples}, expected 1 or more"
            )
        if self.samples > 1 and not self.temperature > 0:
            raise ConfigError(
                f"evaluate: got {self.samples} samples at temperature {self.temperature:g}, "
                "expected more than 0: greedy answers are all alike"
            )


def evaluate(
    model: SVFModel,
    task: Task,
    strategy: Strategy,
    split: str = "test",
    limit: int = 400,
    seed: int = 0,
    batch: int = 64,
    samples: int = 1,
    temperature: float = 0.0,
) -> Iterator[GradedItem]:
    """Answer `limit` problems of a split, greedily unless told otherwise; yields them in the
    task's order, each as soon as it and all before it are answered.

    Scales that are the same for all problems are worn from the first item to the last, in the
    form that pays. The model is the base model again when the iterator is exhausted or closed.
    """
    asked = Asked(
        split=split,
        limit=limit,
        seed=seed,
        samples=samples,
        temperature=temperature,
        batch=batch,
    )
    yield from evaluate_all(model, task, strategy, asked)


def evaluate_all(
    model: SVFModel,
    task: Task,
    strategy: Strategy,
    asked: Asked,
    problems: Sequence[Problem] | None = None,
) -> Iterator[GradedItem]:
    """`evaluate`, with its settings in one.

    problems: those to answer, instead of the task's own draw.
    """
    if problems is None:
        problems = task.problems(asked.split, asked.limit, asked.seed)
    waiting, due = {}, 0
    numbered = list(enumerate(problems))
    for place, items in answer_problems(model, task, strategy, numbered, asked):
        waiting[place] = items
        while due in waiting:
            yield from waiting.pop(due)
            due += 1


def answer_problems(
    model: SVFModel,
    task: Task,
    strategy: Strategy,
    problems: Numbered,
    asked: Asked,
    fingerprint: str = "",
) -> Iterator[tuple[int, list[GradedItem]]]:
    """(place, the problem's items) as they are answered: the shorter, the sooner."""
    check_conversations(model, [problem.messages for _, problem in problems])
    work = _Work(model, task, strategy, asked, fingerprint)
    for has_options in (False, True):
        if part := [one for one in problems if bool(one[1].options) == has_options]:
            yield from (work.answer_fixed if strategy.is_fixed else work.answer_adapted)(part)


@dataclass(frozen=True)
class _Work:
    """What all problems of an evaluation are answered by."""

    model: SVFModel
    task: Task
    strategy: Strategy
    asked: Asked
    fingerprint: str

    def answer_fixed(self, problems: Numbered) -> Iterator[tuple[int, list[GradedItem]]]:
        """Answer all under one set of scales."""
        model, batch, messages = self.model, self.asked.batch, problems[0][1].messages
        adapted = self.strategy.adapt([messages])[0]
        is_all = adapted.acts_on == "all"
        tokens = len(problems) * (len(model.encode(messages)) if is_all else 1)
        steps = -(-len(problems) * self.asked.samples // batch) * self.task.max_tokens
        choice = model.form_for(adapted.scales, Work(tokens, steps, batch))
        outfit = model.make_outfit(adapted.scales, choice.form, choice.bits)
        worn = model.wearing(outfit, adapted.acts_on)
        with worn, naming_experts(adapted):
            for place, rollout in self._answer(problems):
                yield place, self._items(adapted, rollout)

    def answer_adapted(self, problems: Numbered) -> Iterator[tuple[int, list[GradedItem]]]:
        """One first pass for many, then a second for each set that can share it. Options are
        scored row by row under the scales of the rows, so all rows of a set are one batch.
        """
        step = self.asked.batch * (1 if problems[0][1].options else _PASSES)
        for start in range(0, len(problems), step):
            part = problems[start : start + step]
            adapted = self.strategy.adapt([problem.messages for _, problem in part])
            by_place = {place: one for (place, _), one in zip(part, adapted, strict=True)}
            for rows, scales in _rows_alike([one.scales for one in adapted]):
                worn = self.model.using(scales, acts_on=self.strategy.acts_on)
                with worn, naming_experts(adapted[rows[0]]):
                    for place, rollout in self._answer([part[row] for row in rows]):
                        yield place, self._items(by_place[place], rollout)

    def _answer(self, problems: Numbered) -> Iterator[tuple[int, Rollout]]:
        """Answer under what is worn: options batch after batch, texts as rows that make room
        for one another.
        """
        asked, batch = self.asked, self.asked.batch
        drawing = SamplingConfig(
            temperature=asked.temperature,
            max_tokens=self.task.max_tokens,
            seed=asked.seed,
            max_rows=batch,
        )
        how = asked.samples, drawing
        if not problems[0][1].options:
            places, texts = zip(*problems, strict=True)
            for i, rollout in finished_rollouts(self.model, self.task, texts, *how, places):
                yield places[i], rollout
            return
        for start in range(0, len(problems), batch):
            places, part = zip(*problems[start : start + batch], strict=True)
            done = rollouts(self.model, self.task, part, *how, places)
            yield from zip(places, done, strict=True)

    def _items(self, adapted: Adapted, rollout: Rollout) -> list[GradedItem]:
        problem, asked = rollout.problem, self.asked
        return [
            GradedItem(
                id=problem.id,
                question=question_of(problem)["content"],
                answer=problem.answer,
                completion=completion.text,
                reward=float(grade.reward),
                is_right=grade.is_right,
                reason=grade.reason,
                is_finished=completion.is_finished,
                label=adapted.label,
                coefficients=dict(adapted.coefficients),
                kind=problem.kind,
                form=self.model.form,
                is_strict=grade.is_strict,
                is_lenient=grade.is_lenient,
                prompt=problem.messages,
                cluster=problem.cluster,
                sample=sample,
                samples=asked.samples,
                temperature=asked.temperature,
                max_tokens=self.task.max_tokens,
                seed=asked.seed,
                task=self.task.name,
                split=asked.split,
                model=self.model.name,
                strategy=self.strategy.name,
                fingerprint=self.fingerprint,
            )
            for sample, (completion, grade) in enumerate(
                zip(rollout.completions, rollout.grades, strict=True)
            )
        ]


def _rows_alike(scales: Sequence[Scales]) -> list[tuple[list[int], Scales]]:
    """(rows, their scales) of rows that wear the very same arrays; all at once where nearly
    every row has its own.

    A few experts chosen for many rows are answered one after another, since rows of one expert
    share its vectors; mixtures are answered at once, each row with vectors of its own.
    """
    alike: dict[tuple, list[int]] = {}
    for row, worn in enumerate(scales):
        alike.setdefault(tuple((path, id(z)) for path, z in worn.items()), []).append(row)
    if len(alike) > max(1, len(scales) // 2):
        return [(list(range(len(scales))), stack_rows(scales))]
    return [(rows, scales[rows[0]]) for rows in alike.values()]


def hash_weights(model: SVFModel, strategy: Strategy, first: Problem) -> str:
    """What tells whether two evaluations had the same weights: the model's targeted ones, and
    the scales of the first problem. Scales that are mixed anew for each request differ in their
    last bits from run to run, so of those only the strategy's name is told apart.
    """
    digest = hashlib.sha256(model.fingerprint(model.targets or "mlp").encode())
    (adapted,) = strategy.adapt([first.messages])
    if strategy.is_fixed or adapted.label is not None:
        for path, z in sorted(adapted.scales.items()):
            digest.update(path.encode() + np.array(z.astype(mx.float32)).tobytes())
    return digest.hexdigest()[:16]
