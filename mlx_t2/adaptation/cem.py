"""The cross-entropy method: the best vector by a ranking alone, without gradients. Pure; knows
no models and no experts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Rank = tuple[float, ...]
"""What candidates are compared by, the first number first; more is better."""
_NARROWEST = 0.02
"""The least spread that is drawn with, as a share of the bounds' width: elites that agree would
end the search.
"""


@dataclass(frozen=True)
class Generation:
    """The state after one population."""

    number: int
    """From 1."""
    best: Float[np.ndarray, " D"]
    """The best candidate of all populations so far."""
    rank: Rank
    """The best candidate's."""
    evaluations: int
    """Candidates ranked so far."""


def cross_entropy(
    rank: Callable[[Float[np.ndarray, "N D"]], Sequence[Rank]],
    starts: Float[np.ndarray, "S D"],
    bounds: tuple[float, float],
    population: int = 16,
    iterations: int = 10,
    elites: float = 0.25,
    seed: int = 0,
) -> Iterator[Generation]:
    """Draw a population, keep its elites, draw the next around these; one report for each.

    Every candidate is drawn from N(m, s²) and clipped to the bounds; m and s are the mean and
    standard deviation of the elites, entry by entry. The first population has the starts in
    it, and its others are drawn around their mean over half of the bounds' width. The best
    candidate of all is kept, and is an elite always: the last report is never worse than any
    start.

    rank: ranks a whole population at once; of equal ranks the first candidate is the better.
    elites: share of the population.

    >>> def rank(x):
    ...     return [(-float(((row - 0.3) ** 2).sum()),) for row in x]
    >>> *_, last = cross_entropy(rank, np.zeros((1, 2)), (0.0, 1.0), iterations=20)
    >>> bool(abs(last.best - 0.3).max() < 0.02)
    True

    Source: Rubinstein & Kroese 2004, as in Sun, Cetin & Tang 2025, arXiv:2501.06252,
        section 3.2.
    """
    rng, (low, high) = np.random.default_rng(seed), bounds
    count = max(2, round(elites * population))
    mean, spread = starts.mean(axis=0), np.full(starts.shape[1], (high - low) / 2)
    kept, kept_ranks, evaluations = starts[:0], list[Rank](), 0
    for number in range(1, iterations + 1):
        given = starts if number == 1 else starts[:0]
        drawn = rng.normal(mean, spread, (max(0, population - len(given)), len(mean)))
        candidates = np.concatenate([given, np.clip(drawn, low, high)])
        ranks = [*kept_ranks, *rank(candidates)]
        evaluations += len(candidates)
        candidates = np.concatenate([kept, candidates])
        order = sorted(range(len(ranks)), key=lambda i: ranks[i], reverse=True)
        best = order[0]
        kept, kept_ranks = candidates[[best]], [ranks[best]]
        chosen = candidates[order[:count]]
        mean = chosen.mean(axis=0)
        spread = np.maximum(chosen.std(axis=0), _NARROWEST * (high - low))
        yield Generation(number, candidates[best], ranks[best], evaluations)
