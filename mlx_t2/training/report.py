"""What one step did, for whoever watches and for the run folder. Knows rollouts; knows no
models and no files.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlx_t2.sampling import Rollout
from mlx_t2.tasks import Task

from .gradient import Weighted
from .health import Signs


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one step did, over all machines."""

    step: int
    steps: int
    reward: float
    """Mean over all sampled completions."""
    loss: float
    kl: float | None
    """Of the policy from the base, summed over a completion, mean over completions [nats]; None
    where this step did not measure it.
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
    """Of the answers: classes, positions or texts [nats]."""
    commonest: str
    """The commonest answer."""
    commonest_share: float
    """Of all completions."""
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
    sample: dict[str, Any]
    """The first problem with a signal, its completions, their rewards and which are right."""


def graded_entry(task: Task, rollout: Rollout, group: Weighted) -> dict[str, Any]:
    """One problem with its completions, as JSON."""
    problem, texts = rollout.problem, [c.text for c in rollout.completions]
    return {
        "problem": problem.id,
        "question": problem.messages[-1]["content"],
        "answer": problem.answer,
        "completions": texts,
        "finished": [c.is_finished for c in rollout.completions],
        "rewards": list(rollout.rewards),
        "is_right": [grade.is_right for grade in rollout.grades],
        "has_signal": any(group.advantages),
        "tokens": sum(len(c.tokens) for c in rollout.completions),
        "choices": [task.choice(problem, text) for text in texts],
        "wanted": task.choice(problem, problem.answer),
    }


def signs_of(entries: Sequence[dict[str, Any]]) -> Signs:
    """What the completions of a step were like."""
    rewards = [reward for e in entries for reward in e["rewards"]]
    return Signs(
        choices=dict(Counter(choice for e in entries for choice in e["choices"])),
        wanted=dict(Counter(e["wanted"] for e in entries)),
        groups=len(entries),
        signal_groups=sum(e["has_signal"] for e in entries),
        reward=sum(rewards) / len(rewards),
    )


def sample_line(step: int, entry: dict[str, Any]) -> dict[str, Any]:
    """A line of samples.jsonl."""
    kept = ("problem", "question", "answer", "completions", "finished", "rewards")
    return {"step": step} | {name: entry[name] for name in kept}


def shown_group(step: int, entry: dict[str, Any]) -> dict[str, Any]:
    """The line of samples.jsonl, and which completions are right."""
    return sample_line(step, entry) | {"is_right": entry["is_right"]}
