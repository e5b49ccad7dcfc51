"""Run the problems of a task through a strategy. Knows no training, no files and no reports."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from mlx_t2.adaptation import Adapted, Strategy
from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.routing import question_in
from mlx_t2.sampling import Rollout, SamplingConfig, rollouts
from mlx_t2.svf import Form, Scales, stack_rows
from mlx_t2.tasks import Problem, Task


@dataclass(frozen=True)
class GradedItem:
    """One problem, answered and graded."""

    id: str
    question: str
    completion: str
    reward: float
    is_finished: bool
    """It ended by itself; what was cut off by the limit earned 0."""
    label: str | None
    """What the first pass chose."""
    weights: dict[str, float]
    kind: str
    """Class or position of the right answer."""
    form: Form = "live"
    """How the scales were worn."""

    @property
    def is_correct(self) -> bool:
        """It earned the full reward."""
        return self.reward >= 1


def evaluate(
    model: SVFModel,
    task: Task,
    strategy: Strategy,
    split: str = "test",
    limit: int = 400,
    seed: int = 0,
    batch: int = 64,
) -> Iterator[GradedItem]:
    """Answer `limit` problems of a split greedily; yield them in order, batch by batch.

    Scales that are the same for all problems are worn from the first item to the last, folded
    where that pays: the model is itself again when the iterator is exhausted or closed.
    """
    if limit < 1 or batch < 1:
        raise ConfigError(f"evaluate: got limit {limit} and batch {batch}, expected 1 or more")
    problems = task.problems(split, limit, seed)
    answer = _answer_fixed if strategy.is_fixed else _answer_adapted
    with ExitStack() as worn:
        if strategy.is_fixed:
            scales = strategy.adapt([problems[0].messages])[0].scales
            tokens = len(problems) * len(model.encode(problems[0].messages))
            steps = -(-len(problems) // batch) * task.max_tokens
            worn.enter_context(model.using(scales, form=model.form_for(scales, tokens, steps)))
        for start in range(0, len(problems), batch):
            yield from answer(model, task, strategy, problems[start : start + batch])


def _answer_fixed(
    model: SVFModel, task: Task, strategy: Strategy, problems: Sequence[Problem]
) -> list[GradedItem]:
    """The scales are on already."""
    adapted = strategy.adapt([problem.messages for problem in problems])
    return [
        _graded(a, r, model.form)
        for a, r in zip(adapted, _rollouts(model, task, problems), strict=True)
    ]


def _answer_adapted(
    model: SVFModel, task: Task, strategy: Strategy, problems: Sequence[Problem]
) -> list[GradedItem]:
    """One first pass for all, a second for each group of problems that can share it."""
    adapted = strategy.adapt([problem.messages for problem in problems])
    graded: dict[int, GradedItem] = {}
    for rows, scales in _groups([a.scales for a in adapted]):
        with model.using(scales):
            done = _rollouts(model, task, [problems[row] for row in rows])
        graded |= {row: _graded(adapted[row], r) for row, r in zip(rows, done, strict=True)}
    return [graded[row] for row in range(len(problems))]


def _groups(scales: Sequence[Scales]) -> list[tuple[list[int], Scales]]:
    """Rows that wear the very same arrays; all rows together where nearly each has its own.

    A few experts chosen for many rows go one after another, each with its rows sharing its
    vectors; mixtures go together, each row with vectors of its own.
    """
    alike: dict[tuple, list[int]] = {}
    for row, worn in enumerate(scales):
        alike.setdefault(tuple((path, id(z)) for path, z in worn.items()), []).append(row)
    if len(alike) > max(1, len(scales) // 2):
        return [(list(range(len(scales))), stack_rows(scales))]
    return [(rows, scales[rows[0]]) for rows in alike.values()]


def _rollouts(model: SVFModel, task: Task, problems: Sequence[Problem]) -> list[Rollout]:
    greedy = SamplingConfig(temperature=0, max_tokens=task.max_tokens)
    return rollouts(model, task, problems, 1, greedy)


def _graded(adapted: Adapted, rollout: Rollout, form: Form = "live") -> GradedItem:
    completion, problem = rollout.completions[0], rollout.problem
    return GradedItem(
        problem.id,
        question_in(problem.messages),
        completion.text,
        float(rollout.rewards[0]),
        completion.is_finished,
        adapted.label,
        dict(adapted.coefficients),
        problem.kind,
        form,
    )
