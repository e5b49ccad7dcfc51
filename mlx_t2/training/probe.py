"""Is there anything to learn? What the model can do on some training problems before the first
step.

REINFORCE needs completions of one problem that earn different rewards. A model that is never
right gives none, and one that is always right has nothing to gain: both are known in the time
of a few steps. It is a note, never a stop, and the training is the same with and without it.
"""

from dataclasses import dataclass
from typing import Any, Literal

from mlx_t2.models import SVFModel
from mlx_t2.sampling import Rollout, SamplingConfig, enumerate_rollouts, weigh
from mlx_t2.svf import Scales
from mlx_t2.tasks import Task

from .config import TrainConfig
from .phase import Phase, Watched
from .ranks import Ranks
from .row_limits import RowLimits

PROBLEMS, SAMPLES = 32, 8
"""Training problems that are asked, and completions of each."""
_NO_SIGNAL, _SOLVED = 0.02, 0.9
"""pass@8 below which there is no signal, and pass@1 above which the task is solved."""
_NAME = "probing for a signal"


@dataclass(frozen=True)
class Signal:
    """What the model can do on training problems; shares of them."""

    problems: int
    pass_1: float
    """One completion is right."""
    pass_8: float
    """One of eight is right."""
    varied: float
    """The completions do not all earn the same: what a step of the training learns from."""

    @property
    def verdict(self) -> Literal["no signal", "solved", "signal"]:
        """Where rewards differ although nothing is right, there is a signal all the same."""
        if self.pass_8 < _NO_SIGNAL and self.varied < _NO_SIGNAL:
            return "no signal"
        return "solved" if self.pass_1 > _SOLVED else "signal"

    def describe(self) -> str:
        """The verdict with its numbers, and what to try where there is little to learn."""
        found = (
            f"{self.verdict}: on {self.problems} training problems the model is right in "
            f"{100 * self.pass_1:.1f} % of single tries, and once in {SAMPLES} tries on "
            f"{100 * self.pass_8:.1f} %"
        )
        advice = {
            "no signal": ". Nothing is reinforced where all tries earn the same: try a larger "
            "model, a prompt with worked examples, a reward with steps between right and "
            "wrong, or an easier task first, whose expert --init takes",
            "solved": ". There is little to gain: a harder task has more to learn",
        }
        return found + advice.get(self.verdict, "")

    def to_json(self) -> dict[str, Any]:
        """The keys that scripts rely on."""
        return {
            "problems": self.problems,
            "samples": SAMPLES,
            "pass_at": {"1": self.pass_1, str(SAMPLES): self.pass_8},
            "varied": self.varied,
            "verdict": self.verdict,
        }


def watch_probe(
    model: SVFModel,
    start: Scales,
    task: Task,
    config: TrainConfig,
    ranks: Ranks,
    limits: RowLimits,
) -> Watched[Signal]:
    """Answer some training problems, each machine its share.

    start: the scales that the training begins with; {} is the base model.
    """
    yield Phase(_NAME)
    with model.using(start, acts_on=config.acts_on):
        mine = ranks.on_all(_probe, model, task, config, ranks, limits)
    ones, eights, varied = zip(*ranks.gather(mine), strict=True)
    n = len(ones)
    signal = Signal(n, sum(ones) / n, sum(eights) / n, sum(varied) / n)
    yield Phase(_NAME, found=signal.describe())
    return signal


def _probe(
    model: SVFModel, task: Task, config: TrainConfig, ranks: Ranks, limits: RowLimits
) -> list[tuple[float, float, bool]]:
    """(pass@1, pass@8, whether rewards differ) of each of this machine's problems."""
    # Steps are drawn with the seeds after this one.
    count, seed = task.available("train", PROBLEMS), config.seed * 1_000_003
    problems = task.step(count, seed, config.balanced)
    drawing = SamplingConfig(
        temperature=config.temperature or 1.0,
        max_tokens=task.max_tokens,
        seed=seed,
        max_rows=limits.decoded,
    )
    numbers = ranks.mine(range(len(problems)))
    done = enumerate_rollouts(model, task, ranks.mine(problems), SAMPLES, drawing, numbers)
    return [_chances(rollout, drawing.temperature) for rollout in done]


def _chances(rollout: Rollout, temperature: float) -> tuple[float, float, bool]:
    """The exact chances over options, else what the samples show."""
    is_right = [grade.is_right for grade in rollout.grades]
    is_varied = len(set(rollout.rewards)) > 1
    if rollout.scores is None:
        return sum(is_right) / len(is_right), float(any(is_right)), is_varied
    policy = weigh(rollout.scores, temperature)
    chance = min(1.0, sum(p for p, right in zip(policy, is_right, strict=True) if right))
    return chance, 1 - (1 - chance) ** SAMPLES, is_varied
