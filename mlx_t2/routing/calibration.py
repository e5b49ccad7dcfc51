"""Probabilities that mean what they say, and when to act on them. Knows arrays; knows no
models, no labels and no conversations.

Whatever is said of the classes here, the last one is `other`: the base model answers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from jaxtyping import Float, Int

from .logistic import LinearHead

AIM = 0.005
"""Share of ordinary requests that a threshold may let through: half of the 1 % that is
promised, since other people's requests are other than ours.
"""
LEAST_THRESHOLD = 0.5
"""Below, an expert would answer what more probably is `other`."""
_WIDEST = 20.0
"""The temperature lies between 1 / 20 and 20."""
_THIRDS = 60
_SUREST = 1 - 1e-6
"""The highest threshold: at 1 nothing would pass."""


@dataclass(frozen=True)
class Calibrated:
    """A head with probabilities that can be acted on."""

    head: LinearHead
    temperature: float
    """What its logits were divided by."""
    threshold: float
    recall: float
    """Share of the questions that an expert is meant for, and that it would get."""
    surprise: float
    """Mean negative log-probability of the true classes [nats]."""

    @property
    def worth(self) -> tuple[float, float]:
        """What heads are compared by: recall under the threshold, then surprise."""
        return self.recall, -self.surprise


def calibrate(
    head: LinearHead, states: Float[mx.array, "N D"], classes: Int[mx.array, " N"]
) -> Calibrated:
    """Temperature and threshold for examples that the head has not been fitted on."""
    temperature = fit_temperature(head.logits(states), classes)
    cooled = LinearHead(
        head.weight / temperature, head.bias / temperature, head.mean, head.scale
    )
    posterior = cooled.posterior(states)
    other = posterior.shape[1] - 1
    meant: Any = (1 - posterior[:, other]).tolist()
    named: Any = mx.argmax(posterior[:, :other], axis=-1).tolist()
    truth: Any = classes.tolist()
    cases = list(zip(meant, named, truth, strict=True))
    right = [p for p, name, true in cases if name == true]
    threshold = choose_threshold([p for p, _, true in cases if true == other], right)
    n_meant = sum(true != other for true in truth)
    recall = sum(p >= threshold for p in right) / max(1, n_meant)
    surprise = _surprise(cooled.logits(states), classes)
    return Calibrated(cooled, temperature, threshold, recall, surprise)


def choose_threshold(
    ordinary: Sequence[float], meant: Sequence[float], aim: float = AIM
) -> float:
    """The threshold of the best recall that lets through at most the share `aim` of ordinary
    requests.

    Of n ordinary requests the k surest may pass, (k + 1) / (n + 1) ≤ aim: then the next one
    passes with a chance of at most aim, whatever the distribution; where n is too small for
    that, none may. The threshold lies above the surest that may not pass, half-way in log-odds
    to the least sure question that an expert is meant for.

    ordinary: the probability that any expert is meant, for each ordinary request.
    meant: the same, for each question whose label is the most probable expert.

    >>> round(choose_threshold([0.1, 0.6], [0.9, 0.99]), 3)  # √(1.5 · 9) = 3.67 to 1
    0.786

    Source: Angelopoulos et al. 2022, arXiv:2208.02814, for the bound.
    """
    passing = max(0, math.floor(aim * (len(ordinary) + 1)) - 1)
    surest = sorted(ordinary, reverse=True)[passing : passing + 1]
    low = max(LEAST_THRESHOLD, *surest, 0.0)
    high = min((p for p in meant if p > low), default=1.0)
    odds = math.sqrt(_odds(low) * _odds(high))
    return odds / (1 + odds)


def _odds(p: float) -> float:
    p = min(p, _SUREST)
    return p / (1 - p)


def fit_temperature(logits: Float[mx.array, "N K"], classes: Int[mx.array, " N"]) -> float:
    """T > 0 with the smallest mean surprise of softmax(logits / T), between 1/20 and 20.

    The surprise is convex in 1/T, so a search by thirds finds its minimum.

    >>> logits = mx.array([[2.0, 0.0]] * 4)
    >>> round(fit_temperature(logits, mx.array([0, 0, 0, 1])), 2)  # 2 / ln 3
    1.82

    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    low, high = 1 / _WIDEST, _WIDEST
    for _ in range(_THIRDS):
        first, second = low + (high - low) / 3, high - (high - low) / 3
        if _surprise(logits * first, classes) <= _surprise(logits * second, classes):
            high = second
        else:
            low = first
    return 2 / (low + high)


def _surprise(logits: Float[mx.array, "N K"], classes: Int[mx.array, " N"]) -> float:
    chosen = mx.take_along_axis(logits, classes[:, None], axis=-1)[:, 0]
    return float(mx.mean(mx.logsumexp(logits, axis=-1) - chosen))
