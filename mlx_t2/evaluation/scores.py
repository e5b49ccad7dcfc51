"""Right and wrong → intervals, paired tests and tables. Knows no models and no files."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from mlx_t2.errors import ConfigError

_Z95 = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""


@dataclass(frozen=True)
class Paired:
    """The same problems, answered twice."""

    fixed: int
    """Wrong before, right after."""
    broken: int
    """Right before, wrong after."""
    p: float
    """Chance of a split as uneven as this if both were equally good."""


def wilson(correct: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share, with p = correct / n:

        (p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n),       (0, 1) where n = 0.

    Unlike p ± 2σ it stays inside [0, 1] and has a width at 0 and at n.

    >>> [round(bound, 4) for bound in wilson(81, 263)]
    [0.2553, 0.3662]

    Source: Wilson 1927, JASA 22, 209-212.
    """
    if n == 0:
        return 0.0, 1.0
    share, spread = correct / n, _Z95**2 / n
    centre = share + spread / 2
    half = _Z95 * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    return (0.0 if correct == 0 else low), (1.0 if correct == n else high)


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> Paired:
    """Exact two-sided binomial test on the d = fixed + broken problems that differ:

        p = min(1, 2 Σ_{i ≤ min(fixed, broken)} C(d, i) / 2^d).

    >>> mcnemar([True, False, False, False], [False, True, True, True])
    Paired(fixed=3, broken=1, p=0.625)

    Raises: ConfigError where the two are not the same number of problems.
    """
    if len(before) != len(after):
        raise ConfigError(
            f"paired test: got {len(before)} and {len(after)} outcomes, expected pairs"
        )
    fixed = sum(b and not a for a, b in zip(before, after, strict=True))
    broken = sum(a and not b for a, b in zip(before, after, strict=True))
    tail = sum(math.comb(fixed + broken, i) for i in range(min(fixed, broken) + 1))
    return Paired(fixed, broken, min(1.0, 2 * tail / 2 ** (fixed + broken)))


def bootstrap(
    before: Sequence[bool], after: Sequence[bool], resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of the gain in accuracy, problems drawn anew.

    >>> bootstrap([True, False, True], [True, False, True])
    (0.0, 0.0)

    Raises: ConfigError where the two are not the same number of problems, or none.
    """
    if len(before) != len(after) or not before:
        raise ConfigError(
            f"bootstrap: got {len(before)} and {len(after)} outcomes, expected pairs"
        )
    gains = mx.array([int(b) - int(a) for a, b in zip(before, after, strict=True)])
    drawn = mx.random.randint(0, len(before), (resamples, len(before)), key=mx.random.key(seed))
    means: Any = mx.sort(mx.mean(gains[drawn], axis=1)).tolist()
    return means[round(0.025 * (resamples - 1))], means[round(0.975 * (resamples - 1))]


def confusion(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """(was, chosen) pairs → {was: {chosen: count}}, each with every label.

    >>> confusion([("kind", "kind"), ("kind", "other")])["kind"]
    {'kind': 1, 'other': 1}
    """
    counts = Counter(pairs)
    labels = sorted({label for pair in counts for label in pair})
    return {was: {chosen: counts[was, chosen] for chosen in labels} for was in labels}
