"""What one step did, for whoever watches and for the run folder. Knows rollouts; knows no
models and no files.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlx_t2.sampling import Rollout, weigh
from mlx_t2.tasks import Task, question_of

from .collapse import Signs
from .gradient import AdvantageGroup


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one step did, over all machines."""

    step: int
    steps: int
    reward: float
    """Mean over all sampled completions."""
    loss: float
    kl: float | None
    """KL of the policy from the base, estimated before the update by the mean log-ratio of two
    completions per problem [nats per completion]; None but for the steps that evaluate.
    """
    groups: int
    signal_groups: int
    """Problems whose completions have an advantage."""
    truncated: int
    """Completions cut off by the limit."""
    is_skipped: bool
    """No problem carried a signal, so nothing was changed."""
    tokens: int
    """Sampled in this step."""
    entropy: float
    """Entropy of the answers: classes, positions or texts [nats]."""
    commonest: str
    """The most common answer."""
    commonest_share: float
    """Its share of all completions."""
    change: float
    """Mean |z − 1|."""
    gradient_norm: float
    """Before clipping."""
    seconds: float
    sampling_seconds: float
    gradient_seconds: float
    peak_gb: float
    """Most memory in use at once."""
    validation: float | None
    """Greedy accuracy on the validation split, where this step measured it."""
    base_validation: float
    best_validation: float
    warning: str | None
    """What looks wrong, and what to change."""
    example: dict[str, Any]
    """The first problem with a signal: its line of samples.jsonl, and which are right."""

    def entry(self) -> dict[str, Any]:
        """A line of metrics.jsonl: all but the example, which is in samples.jsonl."""
        return {name: value for name, value in vars(self).items() if name != "example"}


@dataclass(frozen=True, kw_only=True)
class GradedGroup:
    """One problem with its completions, in values that JSON has."""

    problem: str
    question: str
    answer: str
    completions: list[str]
    finished: list[bool]
    rewards: list[float]
    is_right: list[bool]
    has_signal: bool
    tokens: int
    choices: list[str]
    """What each completion chose: a class, a position, or its text."""
    wanted: str
    """The choice that would have been right."""
    probabilities: list[float] | None = None
    """The policy over the completions, where they are all of the problem's options; None where
    they were drawn.
    """

    @property
    def weights(self) -> list[float]:
        """What each completion counts for: drawn ones 1; options as much as if as many had been
        drawn.
        """
        if self.probabilities is None:
            return [1] * len(self.completions)
        return [len(self.probabilities) * p for p in self.probabilities]

    def line(self, step: int) -> dict[str, Any]:
        """A line of samples.jsonl."""
        left_out = ["has_signal", "tokens", "choices", "wanted"]
        if self.probabilities is None:
            left_out.append("probabilities")
        kept = {name: value for name, value in vars(self).items() if name not in left_out}
        return {"step": step} | kept


def describe_group(
    task: Task, rollout: Rollout, group: AdvantageGroup, temperature: float = 1.0
) -> GradedGroup:
    """What is kept of a problem's completions once they have rewards and advantages."""
    problem, texts = rollout.problem, [c.text for c in rollout.completions]
    return GradedGroup(
        problem=problem.id,
        question=question_of(problem)["content"],
        answer=problem.answer,
        completions=texts,
        finished=[c.is_finished for c in rollout.completions],
        rewards=list(rollout.rewards),
        is_right=[grade.is_right for grade in rollout.grades],
        has_signal=group.has_signal,
        tokens=sum(len(c.tokens) for c in rollout.completions),
        choices=[task.choice(problem, text) for text in texts],
        wanted=task.choice(problem, problem.answer),
        probabilities=weigh(rollout.scores, temperature) if rollout.scores else None,
    )


def find_signs(groups: Sequence[GradedGroup]) -> Signs:
    """What the completions of a step were like."""
    choices: dict[str, float] = {}
    total, count = 0.0, 0.0
    for group in groups:
        for choice, reward, weight in zip(
            group.choices, group.rewards, group.weights, strict=True
        ):
            choices[choice] = choices.get(choice, 0) + weight
            total, count = total + weight * reward, count + weight
    return Signs(
        choices=choices,
        wanted=dict(Counter(group.wanted for group in groups)),
        groups=len(groups),
        signal_groups=sum(group.has_signal for group in groups),
        reward=total / count,
    )
