"""Answer the problems of a task under a strategy. Knows no training, no files, no reports."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from mlx_t2.adaptation import Adapted, Strategy, naming_experts
from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel, check_conversations
from mlx_t2.sampling import Rollout, SamplingConfig, rollouts
from mlx_t2.svf import Form, Scales, stack_rows
from mlx_t2.tasks import Problem, Task, question_of


@dataclass(frozen=True)
class GradedItem:
    """One problem, answered and graded."""

    id: str
    question: str
    answer: str
    """A right answer."""
    completion: str
    reward: float
    is_right: bool
    reason: str
    """Why it is right or wrong, in a few words."""
    is_finished: bool
    """It ended by itself, not by the limit."""
    label: str | None
    """What the first pass chose."""
    coefficients: dict[str, float]
    """{expert: its share in the scales}; those missing have none."""
    kind: str
    """Class or position of the right answer."""
    form: Form = "live"
    """How the scales were worn."""


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
    where that pays. The model is the base model again when the iterator is exhausted or closed.
    """
    if limit < 1 or batch < 1:
        raise ConfigError(f"evaluate: got limit {limit} and batch {batch}, expected 1 or more")
    problems = task.problems(split, limit, seed)
    check_conversations(model, [problem.messages for problem in problems])
    answer = _answer_fixed if strategy.is_fixed else _answer_adapted
    with ExitStack() as worn:
        if strategy.is_fixed:
            scales = strategy.adapt([problems[0].messages])[0].scales
            is_all = strategy.acts_on == "all"
            longest = len(model.encode(problems[0].messages)) if is_all else 1
            steps = -(-len(problems) // batch) * task.max_tokens
            form = model.form_for(scales, len(problems) * longest, steps)
            worn.enter_context(model.using(scales, form=form, acts_on=strategy.acts_on))
        for start in range(0, len(problems), batch):
            yield from answer(model, task, strategy, problems[start : start + batch])


def _answer_fixed(
    model: SVFModel, task: Task, strategy: Strategy, problems: Sequence[Problem]
) -> list[GradedItem]:
    """Answer under the scales that the model wears already."""
    adapted = strategy.adapt([problem.messages for problem in problems])
    with naming_experts(adapted[0]):
        done = _rollouts(model, task, problems)
    return [_grade_item(a, r, model.form) for a, r in zip(adapted, done, strict=True)]


def _answer_adapted(
    model: SVFModel, task: Task, strategy: Strategy, problems: Sequence[Problem]
) -> list[GradedItem]:
    """One first pass for all, then a second per set of problems that can share it."""
    adapted = strategy.adapt([problem.messages for problem in problems])
    graded: dict[int, GradedItem] = {}
    for rows, scales in _rows_alike([a.scales for a in adapted]):
        worn = model.using(scales, acts_on=strategy.acts_on)
        with worn, naming_experts(adapted[rows[0]]):
            done = _rollouts(model, task, [problems[row] for row in rows])
        graded |= {row: _grade_item(adapted[row], r) for row, r in zip(rows, done, strict=True)}
    return [graded[row] for row in range(len(problems))]


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


def _rollouts(model: SVFModel, task: Task, problems: Sequence[Problem]) -> list[Rollout]:
    greedy = SamplingConfig(temperature=0, max_tokens=task.max_tokens)
    return rollouts(model, task, problems, 1, greedy)


def _grade_item(adapted: Adapted, rollout: Rollout, form: Form = "live") -> GradedItem:
    completion, grade, problem = rollout.completions[0], rollout.grades[0], rollout.problem
    return GradedItem(
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
        form=form,
    )
