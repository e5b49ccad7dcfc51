"""The gradient of the objective with respect to what is trained, in parts that fit in memory.

Every completion's gradient is divided by the number of all that were sampled, so the sum over
parts is the gradient of the whole, however it is cut. Differentiates with respect to the scales
alone: no weight has a gradient. Not compiled: every step has other shapes, and MLX keeps what
it compiled for each of them for ever. Knows models and objectives; knows no tasks and no files.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import reduce
from typing import Any

import mlx.core as mx

from mlx_t2.models import SVFModel
from mlx_t2.reading import checkpointed, completion_distributions, completion_logprobs
from mlx_t2.svf import Scales

from .config import TrainConfig
from .parametrisation import Parametrisation
from .reinforce import divergence, policy_loss

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Weighted:
    """A prompt, completions of it, and the advantage of each."""

    prompt: Tokens
    completions: tuple[Tokens, ...]
    advantages: tuple[float, ...]


@dataclass(frozen=True)
class Gradient:
    """What a gradient pass found."""

    arrays: Scales
    loss: mx.array
    kl: mx.array
    """Of the policy from the base, summed over a completion, mean over all [nats]; 0 where the
    objective has no penalty.
    """


class Objective:
    """The loss of a part of a step, and its gradient."""

    def __init__(self, model: SVFModel, parametrisation: Parametrisation, config: TrainConfig):
        self._model, self._scales = model, parametrisation.scales
        self._temperature = config.temperature or 1.0  # greedy ones are scored as sampled ones
        self._sequences = config.prompts * config.group
        self._kl = 0.0 if config.kl_form == "k1" else config.kl
        self._part = self._exact if config.kl_form in ("paper", "reference") else self._sampled
        self._is_forward = config.kl_form == "paper"
        self._saving: Callable[[], Any] = (
            (lambda: checkpointed(model)) if config.checkpointing else nullcontext
        )

    def gradient(self, parameters: Scales, groups: Sequence[Weighted], rows: int) -> Gradient:
        """Of the loss summed over all groups, at most `rows` completions at a time."""
        done = Gradient({k: mx.zeros_like(a) for k, a in parameters.items()}, *_zeros(2))
        with self._saving():
            for part in parts(groups, rows):
                (loss, kl), arrays = mx.value_and_grad(self._loss)(parameters, part)
                summed = {k: done.arrays[k] + a for k, a in arrays.items()}
                done = Gradient(summed, done.loss + loss, done.kl + kl)
                # before the next part is begun, this one's activations have to be gone
                mx.eval(done.arrays, done.loss, done.kl)
        return done

    def _loss(self, parameters: Scales, part: list[Weighted]) -> tuple[mx.array, mx.array]:
        advantages = [
            advantage
            for group in part
            for tokens, advantage in zip(group.completions, group.advantages, strict=True)
            for _ in tokens
        ]
        return self._part(self._scales(parameters), part, mx.array(advantages))

    def _sampled(
        self, scales: Scales, part: list[Weighted], advantages: mx.array
    ) -> tuple[mx.array, mx.array]:
        """KL from the sampled tokens alone."""
        logprobs = self._under(scales, completion_logprobs, part)
        reference = self._under({}, completion_logprobs, part) if self._kl else None
        return policy_loss(logprobs, reference, advantages, self._sequences, self._kl)

    def _exact(
        self, scales: Scales, part: list[Weighted], advantages: mx.array
    ) -> tuple[mx.array, mx.array]:
        """KL over the whole vocabulary at every position."""
        policy = self._under(scales, completion_distributions, part)
        tokens = mx.array([t for group in part for c in group.completions for t in c])
        logprobs = mx.take_along_axis(policy, tokens[:, None], axis=-1).squeeze(-1)
        loss, _ = policy_loss(logprobs, None, advantages, self._sequences, 0.0)
        if not self._kl:
            return loss, mx.array(0.0)
        base = mx.stop_gradient(self._under({}, completion_distributions, part))
        pair = (policy, base) if self._is_forward else (base, policy)
        kl = divergence(*pair, self._sequences)
        return loss + self._kl * kl, kl

    def log_ratios(self, scales: Scales, groups: Sequence[Weighted], rows: int) -> list[float]:
        """Σ_t log π − log π_base of every completion in turn [nats]; their mean estimates the
        KL of the policy from the base.
        """
        sums: list[float] = []
        for part in parts(groups, rows):
            policy = self._under(scales, completion_logprobs, part)
            ratios: Any = (policy - self._under({}, completion_logprobs, part)).tolist()
            each = iter(ratios)
            sums += [sum(next(each) for _ in c) for group in part for c in group.completions]
        return sums

    def is_finite(self, parameters: Scales, group: Weighted) -> bool:
        """Whether the first completion still has a probability: numbers may be finite whose
        model is not, and then it samples nothing that carries a signal, for ever.
        """
        one = Weighted(group.prompt, group.completions[:1], group.advantages[:1])
        scores = self._under(self._scales(parameters), completion_logprobs, [one])
        found: Any = mx.all(mx.isfinite(scores)).item()
        return found

    def _under(self, scales: Scales, read: Callable, part: list[Weighted]) -> mx.array:
        with self._model.using(scales):
            prompts, completions = [g.prompt for g in part], [g.completions for g in part]
            return read(self._model, prompts, completions, self._temperature)


def parts(groups: Sequence[Weighted], rows: int) -> Iterator[list[Weighted]]:
    """Whole groups together while they have at most `rows` completions; larger groups cut."""
    held: list[Weighted] = []
    for piece in (piece for group in groups for piece in _cut(group, rows)):
        if held and sum(len(g.completions) for g in (*held, piece)) > rows:
            yield held
            held = []
        held.append(piece)
    if held:
        yield held


def _cut(group: Weighted, rows: int) -> Iterator[Weighted]:
    for i in range(0, len(group.completions), rows):
        at = slice(i, i + rows)
        yield Weighted(group.prompt, group.completions[at], group.advantages[at])


def _zeros(count: int) -> list[mx.array]:
    return [mx.array(0.0)] * count


def length(arrays: Scales) -> float:
    """The norm of all arrays together."""
    squares = reduce(lambda a, b: a + b, ((a * a).sum() for a in arrays.values()))
    found: Any = mx.sqrt(squares).item()
    return found
