"""One update: sample completions, turn rewards into advantages, move the parameters.

Knows models and tasks; knows no files and no evaluation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim

from mlx_t2.errors import ConfigError, TaskDataError, TrainingError
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel
from mlx_t2.sampling import (
    Rollout,
    SamplingConfig,
    enumerate_rollouts,
    log_weigh,
    score_options,
)
from mlx_t2.svf import Arrays, Scales, check_trainable
from mlx_t2.tasks import Task

from .advantages import (
    Rewards,
    against_batch,
    by_group,
    divergence_of_options,
    of_options,
    overlong_penalty,
    without_baseline,
)
from .checkpoint import State
from .config import TrainConfig
from .gradient import AdvantageGroup, Objective
from .optimizer import Optimizer, OptimizerState
from .parametrisation import Parametrisation, bands, direct, sigmoid
from .phase import Watched
from .ranks import Ranks
from .row_limits import RowLimits
from .sampling_form import choose_sampling_form

_MEASURED = 2
"""Completions per problem that the KL of a report is estimated from."""
_ADVANTAGES = {"rloo": by_group, "reinforce": against_batch, "paper": without_baseline}


def check_model(model: SVFModel, config: TrainConfig) -> None:
    """Raise ConfigError where the model is decomposed otherwise than `config` says, ModelError
    where its layers have no gradient.
    """
    if (model.targets, model.rank) != (config.targets, config.rank):
        raise ConfigError(
            f"targets and rank: the model is decomposed for {model.targets!r} and "
            f"{model.rank}, expected {config.targets!r} and {config.rank}"
        )
    check_trainable(model.network)


def check_task(task: Task, config: TrainConfig) -> None:
    """Raise TaskDataError where the task has fewer problems than `config` asks for."""
    for split, n in (("validation", config.validation), ("test", config.test)):
        _check_count(task, split, n, f"--{split}")
    _check_count(task, "train", config.prompts, "--prompts")
    task.problems("validation", config.validation)
    if config.test:
        task.problems("test", config.test)
    task.step(config.prompts, config.seed + 1, config.balanced)


def _check_count(task: Task, split: str, n: int, flag: str) -> None:
    if n and (most := task.available(split, n)) < n:
        raise TaskDataError(
            f"{task.name}: got {n} problems to draw, expected at most {most} of the {split} "
            f"split ({flag})"
        )


def start_scales(model: SVFModel, config: TrainConfig) -> Scales:
    """The scales of the expert to start from; none where there is no such expert.

    Raises: ExpertFileError for one that does not fit the model.
    """
    if not config.init:
        return {}
    expert = Expert.load(Path(config.init))
    fingerprint = model.fingerprint(expert.targets)
    expert.check(model.name, fingerprint, model.shapes)
    return expert.scales


def parametrise(model: SVFModel, config: TrainConfig, start: Scales) -> Parametrisation:
    """What `config` trains on this model."""
    if config.parametrisation == "sigmoid":
        return sigmoid(model.singular_values, config.seed)
    if config.parametrisation == "bands":
        return bands(model.shapes, config.bands)
    return direct(model.shapes, start)


@dataclass(frozen=True)
class Update:
    """What one step of the optimiser made."""

    parameters: Arrays
    optimizer: OptimizerState
    loss: float
    norm: float
    """The gradient's global norm before clipping."""


class Learner:
    """Draws a step's completions and makes an update of them. Nothing in it changes from step
    to step. All machines call its methods alike, each for its share of the problems.
    """

    def __init__(
        self,
        model: SVFModel,
        task: Task,
        config: TrainConfig,
        ranks: Ranks,
        objective: Objective,
        limits: RowLimits,
    ):
        self.model, self.task, self.config, self.ranks = model, task, config, ranks
        self.objective, self.limits = objective, limits
        self.optimizer = Optimizer(config)
        self._advantages = _ADVANTAGES[config.mode]
        self._temperature = config.temperature or 1.0
        self._is_kl_in_reward = config.kl > 0 and config.kl_form == "k1"

    def scales(self, parameters: Arrays) -> Scales:
        """The z that the parameters stand for."""
        return self.objective.parametrisation.scales(parameters)

    def sample(self, state: State) -> list[Rollout]:
        """This machine's share of the next step's problems, sampled and graded."""
        return self.ranks.on_all(self._sample, state)

    def _sample(self, state: State) -> list[Rollout]:
        config, seed = self.config, self.config.seed * 1_000_003 + state.step + 1
        problems = self.task.step(
            config.prompts, seed, config.balanced, state.step / config.steps
        )
        sampling = SamplingConfig(
            temperature=config.temperature,
            max_tokens=self.task.max_tokens,
            seed=seed,
            max_rows=self.limits.decoded,
        )
        numbers, mine = self.ranks.mine(range(config.prompts)), self.ranks.mine(problems)
        scales = self.scales(state.parameters)
        form = choose_sampling_form(self.model, self.task, config, problems)
        outfit = self.model.make_outfit(scales, form.form)
        with self.model.wearing(outfit, config.acts_on):
            return enumerate_rollouts(
                *(self.model, self.task, mine, config.group, sampling, numbers),
                self.objective.readings,
            )

    def measure_kl(self, state: State, sampled: Sequence[Rollout]) -> float:
        """An estimate of KL(policy ‖ base) of a whole completion [nats]: the mean log-ratio
        over the first completions of every problem, drawn from the policy; over options, the
        divergence itself.
        """
        first = min(_MEASURED, self.config.group)
        drawn = iter(self._log_ratios(state, [r for r in sampled if not r.scores], first))
        bases = iter(self._base_policies(sampled))
        mine = [
            [divergence_of_options(self._policy(rollout.scores), next(bases))] * first
            if rollout.scores
            else next(drawn)
            for rollout in sampled
        ]
        ratios = list(chain.from_iterable(self.ranks.gather(mine)))
        return sum(ratios) / len(ratios)

    def _policy(self, scores: Sequence[float]) -> list[float]:
        """log π over options."""
        return log_weigh(scores, self._temperature)

    def _base_policies(self, sampled: Sequence[Rollout]) -> list[list[float]]:
        """log π_base over the options of those that have some, in turn."""
        return self.ranks.on_all(self._rate_by_base, [r for r in sampled if r.scores])

    def _rate_by_base(self, chosen: Sequence[Rollout]) -> list[list[float]]:
        if not chosen:
            return []
        with self.model.using({}):
            choices = score_options(
                self.model, [r.prompt for r in chosen], [r.problem.options for r in chosen]
            )
        return [self._policy(choice.scores) for choice in choices]

    def assign_advantages(
        self, state: State, sampled: Sequence[Rollout]
    ) -> list[AdvantageGroup]:
        """The completions with their advantages, which compare the rewards of all machines."""
        drawn = iter(self._compare_drawn(state, [r for r in sampled if not r.scores]))
        chosen = iter(self._weigh_options([r for r in sampled if r.scores]))
        return [next(chosen) if rollout.scores else next(drawn) for rollout in sampled]

    def _compare_drawn(self, state: State, sampled: Sequence[Rollout]) -> list[AdvantageGroup]:
        rewards = [self._shape_rewards(rollout) for rollout in sampled]
        if self._is_kl_in_reward:
            kl, ratios_P_G = self.config.kl, self._log_ratios(state, sampled, self.config.group)
            rewards = [
                [_less(reward, kl * ratio) for reward, ratio in zip(*pair, strict=True)]
                for pair in zip(rewards, ratios_P_G, strict=True)
            ]
        advantages = self.ranks.mine(self._advantages(self.ranks.gather(rewards)))
        return [_join(r, a) for r, a in zip(sampled, advantages, strict=True)]

    def _weigh_options(self, sampled: Sequence[Rollout]) -> list[AdvantageGroup]:
        """All options with their share in the gradient of the expected reward, less the
        penalty. A problem counts as much as one whose completions were drawn, as a group.
        """
        config = self.config
        kl, is_forward = config.kl, config.kl_form != "reference"
        bases = self._base_policies(sampled) if kl else [None] * len(sampled)
        size = config.group / self._temperature
        groups = []
        for rollout, base in zip(sampled, bases, strict=True):
            assert rollout.scores is not None
            policy = self._policy(rollout.scores)
            advantages = of_options(self._count_rewards(rollout), policy, base, kl, is_forward)
            group = _join(rollout, [size * advantage for advantage in advantages])
            groups.append(replace(group, is_choice=True))
        return groups

    def _count_rewards(self, rollout: Rollout) -> list[float]:
        """Rewards, ±1 in mode paper."""
        if self.config.mode == "paper":
            return [1.0 if grade.is_right else -1.0 for grade in rollout.grades]
        return list(rollout.rewards)

    def _log_ratios(
        self, state: State, sampled: Sequence[Rollout], first: int
    ) -> list[list[float]]:
        """log π − log π_base of the first completions of each of this machine's problems."""
        bare = [_join(rollout, [0.0] * first) for rollout in sampled]
        log_ratios, scales = self.objective.log_ratios, self.scales(state.parameters)
        flat = self.ranks.on_all(log_ratios, scales, bare, self.limits.rows)
        return [flat[start : start + first] for start in range(0, len(flat), first)]

    def _shape_rewards(self, rollout: Rollout) -> Rewards:
        """Rewards, ±1 in mode paper, with the penalty for length; None for what is masked."""
        config, longest = self.config, self.task.max_tokens
        rewards = self._count_rewards(rollout)
        return [
            None
            if config.truncated == "masked" and not c.is_finished
            else reward + overlong_penalty(len(c.tokens), longest, config.overlong)
            for reward, c in zip(rewards, rollout.completions, strict=True)
        ]

    def update(self, state: State, groups: Sequence[AdvantageGroup]) -> Watched[Update]:
        """One step of the optimiser from `state`.

        Raises: TrainingError for a loss, gradient or model that is NaN or infinite.
        """
        is_penalised = self.objective.is_penalised
        used = [g for g in groups if g.has_signal or (is_penalised and not g.is_choice)]
        limit, step = self.limits.rows, state.step + 1
        mine = yield from self.ranks.watch_on_all(
            self.objective.watch_gradient(state.parameters, used, limit, step)
        )
        gradient, norm = optim.clip_grad_norm(self.ranks.sum(mine.arrays), self.config.clip)
        loss, norm = self.ranks.total(float(mine.loss)), float(norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise _divergence(state, f"the loss is {loss} and the gradient's norm {norm}")
        parameters, optimizer = self.optimizer.step(state.parameters, gradient, state.optimizer)
        mx.eval(parameters, optimizer)  # the next step's graph begins here
        if not self.ranks.on_all(self.objective.is_finite, parameters, groups[0]):
            raise _divergence(state, "the updated model's scores are NaN or infinite")
        return Update(parameters, optimizer, loss, norm)


def _divergence(state: State, what: str) -> TrainingError:
    return TrainingError(
        f"step {state.step + 1}: {what}, expected finite numbers. The step before is kept; try "
        "a lower lr, from an earlier expert (init)"
    )


def _join(rollout: Rollout, advantages: Sequence[float]) -> AdvantageGroup:
    """As many completions of a problem as there are advantages, the first ones."""
    completions = tuple(c.tokens for c in rollout.completions[: len(advantages)])
    return AdvantageGroup(tuple(rollout.prompt), completions, tuple(advantages))


def _less(reward: float | None, penalty: float) -> float | None:
    return None if reward is None else reward - penalty
