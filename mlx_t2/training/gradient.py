"""The gradient of the objective with respect to what is trained, in parts that fit in memory.

Every completion's gradient is divided by the number of all that were sampled, so the sum over
parts is the gradient of the whole, however it is cut. Differentiates with respect to the scales
alone: no weight has a gradient. Not compiled: every step has other shapes, and MLX keeps what
it compiled for each of them for ever. Knows models and objectives; knows no tasks and no files.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import mlx.core as mx

from mlx_t2.models import SVFModel
from mlx_t2.reading import (
    BaseReadings,
    completion_distributions,
    completion_logprobs,
    plan_options,
    recompute_blocks,
)
from mlx_t2.svf import ActsOn, Arrays, Scales

from .config import TrainConfig
from .parametrisation import Parametrisation
from .phase import Phase, Watched, finish
from .reinforce import divergence, policy_loss

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class AdvantageGroup:
    """A prompt, completions of it, and the advantage of each."""

    prompt: Tokens
    completions: tuple[Tokens, ...]
    advantages: tuple[float, ...]
    is_choice: bool = False
    """The completions are options: each counts by the mean of its tokens' log-probabilities,
    not by their sum, and the penalty is in the advantages.
    """

    @property
    def has_signal(self) -> bool:
        """Whether any completion has an advantage."""
        return any(self.advantages)


@dataclass(frozen=True)
class Gradient:
    """The loss, and its gradient with respect to each trained array."""

    loss: mx.array
    arrays: Arrays


class Objective:
    """The loss of a part of a step, and its gradient."""

    def __init__(self, model: SVFModel, parametrisation: Parametrisation, config: TrainConfig):
        self._model, self.parametrisation = model, parametrisation
        self.acts_on: ActsOn = config.acts_on
        self.readings = BaseReadings(model)
        """The prompts that the base has read, for the whole of a step."""
        self._temperature = config.temperature or 1.0  # greedy ones are scored as sampled ones
        self._sequences = config.prompts * config.group
        self._kl = 0.0 if config.kl_form == "k1" else config.kl
        is_exact = self._kl and config.kl_form in ("paper", "reference")
        self._part_loss = self._exact_loss if is_exact else self._sampled_loss
        self._is_forward = config.kl_form == "paper"
        self._save_memory: Callable[[], Any] = (
            (lambda: recompute_blocks(model)) if config.checkpointing else nullcontext
        )

    @property
    def is_penalised(self) -> bool:
        """Whether the loss has a KL penalty, so that groups without a signal count too."""
        return self._kl > 0

    def gradient(
        self, parameters: Arrays, groups: Sequence[AdvantageGroup], rows: int
    ) -> Gradient:
        """The gradient of the loss summed over all groups, at most `rows` completions at a
        time.
        """
        return finish(self.watch_gradient(parameters, groups, rows))

    def watch_gradient(
        self,
        parameters: Arrays,
        groups: Sequence[AdvantageGroup],
        rows: int,
        step: int = 0,
    ) -> Watched[Gradient]:
        """`gradient`, part by part; `step` is the phases'."""
        done, total = 0, sum(len(group.completions) for group in groups)
        loss, arrays = mx.array(0.0), {k: mx.zeros_like(a) for k, a in parameters.items()}
        with self._save_memory():
            for part in cut_into_parts(groups, rows):
                yield Phase("gradient", done, total, step)
                part_loss, part_arrays = mx.value_and_grad(self._loss)(parameters, part)
                loss, arrays = loss + part_loss, {k: arrays[k] + part_arrays[k] for k in arrays}
                # before the next part is begun, this one's activations have to be gone
                mx.eval(loss, arrays)
                done += sum(len(group.completions) for group in part)
        return Gradient(loss, arrays)

    def _loss(self, parameters: Arrays, part: list[AdvantageGroup]) -> mx.array:
        advantages = [
            advantage / len(tokens) if group.is_choice else advantage
            for group in part
            for tokens, advantage in zip(group.completions, group.advantages, strict=True)
            for _ in tokens
        ]
        part_loss = self._choice_loss if part[0].is_choice else self._part_loss
        return part_loss(self.parametrisation.scales(parameters), part, mx.array(advantages))

    def _choice_loss(
        self, scales: Scales, part: list[AdvantageGroup], advantages: mx.array
    ) -> mx.array:
        """Options are scored at temperature 1, see `sampling.choices`."""
        logprobs = self._read(completion_logprobs, part, scales, 1.0)
        return policy_loss(logprobs, None, advantages, self._sequences, 0.0)

    def _sampled_loss(
        self, scales: Scales, part: list[AdvantageGroup], advantages: mx.array
    ) -> mx.array:
        """The penalty, if any, from the sampled tokens alone."""
        logprobs = self._read(completion_logprobs, part, scales)
        reference = self._read(completion_logprobs, part, {}) if self._kl else None
        return policy_loss(logprobs, reference, advantages, self._sequences, self._kl)

    def _exact_loss(
        self, scales: Scales, part: list[AdvantageGroup], advantages: mx.array
    ) -> mx.array:
        """The penalty over the whole vocabulary at every position."""
        policy = self._read(completion_distributions, part, scales)
        base = mx.stop_gradient(self._read(completion_distributions, part, {}))
        tokens = mx.array([t for group in part for c in group.completions for t in c])
        logprobs = mx.take_along_axis(policy, tokens[:, None], axis=-1).squeeze(-1)
        loss = policy_loss(logprobs, None, advantages, self._sequences, 0.0)
        pair = (policy, base) if self._is_forward else (base, policy)
        return loss + self._kl * divergence(*pair, self._sequences)

    def log_ratios(
        self, scales: Scales, groups: Sequence[AdvantageGroup], rows: int
    ) -> list[float]:
        """Σ_t log π − log π_base of every completion in turn [nats]; their mean estimates the
        KL of the policy from the base.
        """
        sums: list[float] = []
        for part in cut_into_parts(groups, rows):
            policy = self._read(completion_logprobs, part, scales)
            ratios: Any = (policy - self._read(completion_logprobs, part, {})).tolist()
            lengths = [len(tokens) for group in part for tokens in group.completions]
            ends = accumulate(lengths, initial=0)
            sums += [sum(ratios[start:end]) for start, end in pairwise(ends)]
        return sums

    def is_finite(self, parameters: Arrays, group: AdvantageGroup) -> bool:
        """Whether the first completion still has a probability: parameters may be finite whose
        model is not, and then it samples nothing that carries a signal, for ever.
        """
        one = AdvantageGroup(group.prompt, group.completions[:1], group.advantages[:1])
        scores = self._read(completion_logprobs, [one], self.parametrisation.scales(parameters))
        found: Any = mx.all(mx.isfinite(scores)).item()
        return found

    def _read(
        self,
        read: Callable,
        part: list[AdvantageGroup],
        scales: Scales,
        temperature: float | None = None,
    ) -> mx.array:
        with self._model.using(scales, acts_on=self.acts_on):
            prompts, completions = [g.prompt for g in part], [g.completions for g in part]
            return read(
                *(self._model, prompts, completions, temperature or self._temperature),
                self.readings,
            )


def cut_into_parts(
    groups: Sequence[AdvantageGroup], rows: int
) -> Iterator[list[AdvantageGroup]]:
    """Whole groups side by side while they have at most `rows` completions; larger groups
    cut. Options and drawn completions are never in one part.
    """
    drawn = [group for group in groups if not group.is_choice]
    yield from _side_by_side(drawn, rows)
    chosen = [piece for group in groups if group.is_choice for piece in _cut(group, rows)]
    if chosen:
        prompts, options = [g.prompt for g in chosen], [g.completions for g in chosen]
        for part in plan_options(prompts, options, rows):
            yield [chosen[i] for i in part]


def _side_by_side(
    groups: Sequence[AdvantageGroup], rows: int
) -> Iterator[list[AdvantageGroup]]:
    held: list[AdvantageGroup] = []
    for piece in (piece for group in groups for piece in _cut(group, rows)):
        if held and sum(len(g.completions) for g in (*held, piece)) > rows:
            yield held
            held = []
        held.append(piece)
    if held:
        yield held


def _cut(group: AdvantageGroup, rows: int) -> Iterator[AdvantageGroup]:
    for start in range(0, len(group.completions), rows):
        at = slice(start, start + rows)
        yield replace(group, completions=group.completions[at], advantages=group.advantages[at])
