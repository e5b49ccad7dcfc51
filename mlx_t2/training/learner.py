"""One update: sample, weigh, move the parameters. Knows models and tasks; knows no files and no
evaluation.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim

from mlx_t2.errors import ConfigError
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel
from mlx_t2.sampling import Rollout, SamplingConfig, rollouts
from mlx_t2.svf import Scales
from mlx_t2.tasks import Task

from .advantages import Rewards, against_batch, by_group, overlong_penalty, without_baseline
from .checkpoint import State
from .config import TrainConfig
from .gradient import Objective, Weighted
from .optimizer import make_optimizer
from .parametrisation import Parametrisation, bands, direct, sigmoid
from .plan import Fit, fit, least
from .ranks import Ranks

_MEASURED = 2
"""Completions of a problem that the KL of a report is estimated from, where no penalty needs
all.
"""
_ADVANTAGES = {"rloo": by_group, "reinforce": against_batch, "paper": without_baseline}


class Learner:
    """What a step works with, the same in every step; `State` is what changes."""

    def __init__(
        self,
        model: SVFModel,
        task: Task,
        config: TrainConfig,
        ranks: Ranks,
        has_checkpoint: bool = False,
    ):
        """has_checkpoint: parameters come from there, no expert to start from is read."""
        self.model, self.task, self.config, self.ranks = model, task, config, ranks
        self._init = None if has_checkpoint else config.init
        self.optimizer = make_optimizer(config)
        self.form = self._parametrisation()
        self.objective = Objective(model, self.form, config)
        self.at_once = Fit(0, 0)

    def _parametrisation(self) -> Parametrisation:
        if self.config.parametrisation == "sigmoid":
            return sigmoid(self.model.singular_values, self.config.seed)
        if self.config.parametrisation == "bands":
            return bands(self.model.shapes, self.config.bands)
        return direct(self.model.shapes, self._start())

    def _start(self) -> Scales:
        """The scales of the expert to start from, where there is one."""
        if not self._init:
            return {}
        expert = Expert.load(Path(self._init))
        fingerprint = self.model.fingerprint(expert.targets)
        expert.check(self.model.name, fingerprint, self.model.shapes)
        return expert.scales

    def fit(self) -> None:
        """Find out how much is done at once: on all machines what the smallest can take."""
        model, config = self.model, self.config
        found = self.ranks.together(
            lambda: fit(model, self.task, self.objective, self.form.initial, config)
        )
        everywhere = [Fit(**one) for one in self.ranks.gather_all(vars(found))]
        self.at_once = least(everywhere)

    def scales(self, state: State) -> Scales:
        """The z that the parameters stand for."""
        return self.form.scales(state.parameters)

    def sampled(self, state: State) -> list[Rollout]:
        """This machine's share of the step's problems, sampled and graded."""
        config, seed = self.config, self.config.seed * 1_000_003 + state.step
        problems = self.task.step(
            config.prompts, seed, config.balanced, (state.step - 1) / config.steps
        )
        sampling = SamplingConfig(
            temperature=config.temperature,
            max_tokens=self.task.max_tokens,
            seed=seed,
            max_rows=self.at_once.decoded,
        )
        numbers, mine = self.ranks.mine(range(config.prompts)), self.ranks.mine(problems)
        with self.model.using(self.scales(state)):
            return rollouts(self.model, self.task, mine, config.group, sampling, numbers)

    def weighted(
        self, state: State, sampled: Sequence[Rollout], is_measured: bool
    ) -> tuple[list[Weighted], float | None]:
        """The completions with their advantages, and the KL from the base where it was
        measured: for a penalty in the reward, or because it is asked for.
        """
        rewards, kl = [self._shaped(rollout) for rollout in sampled], None
        in_reward = self.config.kl and self.config.kl_form == "k1"
        if in_reward or is_measured:
            few = None if in_reward else _MEASURED
            bare = [_weigh(r, [0.0] * len(r.rewards), few) for r in sampled]
            scales = self.scales(state)
            ratios = self.ranks.together(
                lambda: self.objective.log_ratios(scales, bare, self.at_once.rows)
            )
            everywhere = [r for part in self.ranks.gather_all(ratios) for r in part]
            kl = sum(everywhere) / len(everywhere)
            if in_reward:
                each = iter(ratios)
                rewards = [[_less(r, self.config.kl * next(each)) for r in g] for g in rewards]
        advantages = self.ranks.mine(_ADVANTAGES[self.config.mode](self.ranks.gather(rewards)))
        return [_weigh(r, a) for r, a in zip(sampled, advantages, strict=True)], kl

    def _shaped(self, rollout: Rollout) -> Rewards:
        """Rewards with the penalty for length; None for what is masked."""
        config, longest = self.config, self.task.max_tokens
        return [
            None
            if config.truncated == "masked" and not c.is_finished
            else reward + overlong_penalty(len(c.tokens), longest, config.overlong)
            for reward, c in zip(rollout.rewards, rollout.completions, strict=True)
        ]

    def update(
        self, state: State, groups: Sequence[Weighted]
    ) -> tuple[float, float | None, float]:
        """One step of the optimiser on the parameters of `state`; loss, KL where the objective
        has it, and the gradient's norm before clipping.
        """
        penalised = self.config.kl and self.config.kl_form != "k1"
        used = [g for g in groups if penalised or any(g.advantages)]
        mine = self.ranks.together(
            lambda: self.objective.gradient(state.parameters, used, self.at_once.rows)
        )
        whole = self.ranks.sum(mine.arrays | {"": mx.stack([mine.loss, mine.kl])})
        numbers: Any = whole.pop("").tolist()
        gradient, norm = optim.clip_grad_norm(whole, self.config.clip)
        loss, kl, length = *numbers, float(norm)
        if not (math.isfinite(loss) and math.isfinite(length)):
            raise _diverged(state, f"the loss is {loss} and the gradient's norm {length}")
        state.parameters = self.optimizer.apply_gradients(gradient, state.parameters)
        state.optimizer = self.optimizer.state
        mx.eval(state.parameters, state.optimizer)  # the next step's graph begins here
        if not self.ranks.together(
            lambda: self.objective.is_finite(state.parameters, groups[0])
        ):
            raise _diverged(state, "the updated model's scores are no numbers")
        return loss, kl if penalised else None, length


def _diverged(state: State, what: str) -> ConfigError:
    return ConfigError(
        f"step {state.step}: {what}, expected numbers. The step before is kept; try a lower "
        "lr, from an earlier expert (init)"
    )


def _weigh(rollout: Rollout, advantages: Sequence[float], few: int | None = None) -> Weighted:
    completions = tuple(c.tokens for c in rollout.completions[:few])
    return Weighted(tuple(rollout.prompt), completions, tuple(advantages[:few]))


def _less(reward: float | None, penalty: float) -> float | None:
    return None if reward is None else reward - penalty
