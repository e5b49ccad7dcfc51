"""Problems → graded completions. Knows that tasks grade; does not know what the rewards are
used for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mlx_t2.models import SVFModel
from mlx_t2.tasks import Problem, Task

from .completions import Completion, sample
from .draw import SamplingConfig


@dataclass(frozen=True)
class Rollout:
    """One problem, its completions and what each of them earned."""

    problem: Problem
    prompt: tuple[int, ...]
    completions: tuple[Completion, ...]
    rewards: tuple[float, ...]


def rollouts(
    model: SVFModel,
    task: Task,
    problems: Sequence[Problem],
    attempts: int,
    config: SamplingConfig,
    numbers: Sequence[int] | None = None,
) -> list[Rollout]:
    """`attempts` graded completions of every problem. One cut off by the limit earns 0: it has
    not answered.

    numbers: of the problems, see `sample`.
    """
    prompts = [model.encode(problem.messages) for problem in problems]
    groups = sample(model, prompts, config, attempts, numbers)
    graded = task.grade(
        [(p, c.text) for p, group in zip(problems, groups, strict=True) for c in group]
    )
    rewards = iter(graded)
    return [
        Rollout(
            problem,
            tuple(prompt),
            tuple(group),
            tuple(reward * c.is_finished for c, reward in zip(group, rewards, strict=False)),
        )
        for problem, prompt, group in zip(problems, prompts, groups, strict=True)
    ]


def held_out_accuracy(
    model: SVFModel, task: Task, problems: Sequence[Problem], batch: int = 64
) -> tuple[float, list[Rollout]]:
    """Share of problems answered rightly by greedy decoding, and the answers.

    batch: problems answered together.
    """
    config = SamplingConfig(temperature=0, max_tokens=task.max_tokens)
    done: list[Rollout] = []
    for start in range(0, len(problems), batch):
        done += rollouts(model, task, problems[start : start + batch], 1, config)
    return sum(rollout.rewards[0] > 0 for rollout in done) / len(done), done
