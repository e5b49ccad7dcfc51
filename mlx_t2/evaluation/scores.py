"""Right and wrong → intervals, paired tests and tables. Knows no models and no files.

Problems that share something (a template, a passage, the problem itself where it was answered
several times) are right and wrong together. They bring less than their number says, so
intervals and tests take *clusters*: for each problem the name of what it shares. Whole clusters
are drawn or flipped, never their parts.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mlx_t2.errors import ConfigError

_Z95 = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""
_Z80 = 0.8416212335729143
"""One-sided 80 % point: the power that `smallest_difference` asks for."""

Clusters = Sequence[Hashable] | None
"""What each problem shares with others; None where each stands alone."""


@dataclass(frozen=True)
class Paired:
    """The same problems, answered twice."""

    fixed: int
    """Wrong before, right after."""
    broken: int
    """Right before, wrong after."""
    p: float
    """Chance of a split as uneven as this if both were equally good."""


def wilson(correct: float, n: float) -> tuple[float, float]:
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
    half = _Z95 * math.sqrt(max(0.0, share * (1 - share)) / n + spread / (4 * n))
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    return (0.0 if correct == 0 else low), (1.0 if correct == n else high)


def clustered_wilson(
    outcomes: Sequence[bool], clusters: Clusters = None
) -> tuple[float, float]:
    """The score interval of the share that is right, with as many problems as they count for:
    `wilson` at n = `effective_count`.

    >>> clustered_wilson([True, False], ["a", "b"]) == wilson(1, 2)
    True
    """
    share, count = sum(outcomes) / len(outcomes), effective_count(outcomes, clusters)
    correct = count if all(outcomes) else share * count
    return wilson(correct, count)


def effective_count(values: Sequence[float], clusters: Clusters = None) -> float:
    """How many problems, each on its own, would tell the mean as exactly as these do:

        n / D,   D = max(1, C/(C − 1) · Σ_c (Σ_{i in c} (x_i − x̄))² / Σ_i (x_i − x̄)²),

    C the number of clusters: D is the variance of the mean with clusters, over that without.
    Where all values are equal nothing is known of D, and a cluster counts as one problem.

    >>> effective_count([1, 1, 0, 0], ["a", "a", "b", "b"])  # D = 2/1 · 2/1 = 4
    1.0

    Source: Miller 2024, arXiv:2411.00640, section 2.2 (clustered standard errors), with the
    usual C/(C − 1) for few clusters; Kish 1965 for the design effect D.
    """
    n = len(values)
    sums, sizes = _sum_clusters(values, clusters)
    count, mean = len(sums), sum(values) / n
    if count == n:
        return float(n)
    scatter = sum((x - mean) ** 2 for x in values)
    if count == 1 or scatter == 0:
        return float(count)
    between = sum((s - m * mean) ** 2 for s, m in zip(sums, sizes, strict=True))
    return n / max(1.0, count / (count - 1) * between / scatter)


def mcnemar(before: Sequence[bool], after: Sequence[bool], clusters: Clusters = None) -> Paired:
    """Exact two-sided test on the d = fixed + broken problems that differ:

        p = min(1, 2 Σ_{i ≤ min(fixed, broken)} C(d, i) / 2^d).

    That is the chance that fair coins, one per problem, split as unevenly. With clusters there
    is one coin for each: with D_c = fixed − broken in cluster c,

        p = P(|Σ_c ±D_c| ≥ |Σ_c D_c|),    all signs equally likely, computed exactly.

    >>> mcnemar([True, False, False, False], [False, True, True, True])
    Paired(fixed=3, broken=1, p=0.625)
    >>> mcnemar([False] * 4, [True] * 4, ["a", "a", "b", "b"])
    Paired(fixed=4, broken=0, p=0.5)

    Raises: ConfigError where the two are not the same number of problems.
    """
    gains = _gains("paired test", before, after)
    fixed, broken = gains.count(1), gains.count(-1)
    sums, _ = _sum_clusters(gains, clusters)
    if len(sums) == len(gains):
        tail = sum(math.comb(fixed + broken, i) for i in range(min(fixed, broken) + 1))
        return Paired(fixed, broken, min(1.0, 2 * tail / 2 ** (fixed + broken)))
    return Paired(
        fixed, broken, _flip_signs([abs(round(gain)) for gain in sums], fixed - broken)
    )


def _flip_signs(sizes: Sequence[int], seen: int) -> float:
    """P(|Σ ±size| ≥ |seen|). `chances[k]` is the chance of the sum k − reach."""
    reach = sum(sizes)
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for size in filter(None, sizes):
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    sums = np.abs(np.arange(-reach, reach + 1))
    return min(1.0, float(chances[sums >= abs(seen)].sum()))


def bootstrap(
    before: Sequence[bool],
    after: Sequence[bool],
    clusters: Clusters = None,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """The 95 % percentile interval of the gain in accuracy, problems (or clusters) drawn anew.

    >>> bootstrap([True, False, True], [True, False, True])
    (0.0, 0.0)

    Raises: ConfigError where the two are not the same number of problems, or none.
    """
    if not before:
        raise ConfigError("bootstrap: got 0 and 0 outcomes, expected pairs")
    return bootstrap_mean(_gains("bootstrap", before, after), clusters, resamples, seed)


def bootstrap_mean(
    values: Sequence[float], clusters: Clusters = None, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of a mean, problems (or clusters) drawn anew.

    Clusters of one size and sum are alike, so only how many of each kind are drawn is drawn.
    """
    sums, sizes = _sum_clusters(values, clusters)
    kinds, counts = zip(*sorted(Counter(zip(sums, sizes, strict=True)).items()), strict=True)
    table, shares = np.array(kinds, dtype=float), np.array(counts) / len(sums)
    drawn = np.random.default_rng(seed).multinomial(len(sums), shares, size=resamples)
    totals, number = (drawn @ table).T
    means = np.sort(totals / number).tolist()
    return means[round(0.025 * (resamples - 1))], means[round(0.975 * (resamples - 1))]


def smallest_difference(n: float, discordant: float) -> float:
    """The smallest gain in accuracy that a paired test of n problems shows four times in five,
    at a level of 5 % (two-sided): the δ with

        √n δ = z_0.975 √ψ + z_0.8 √(ψ − δ²),        ψ = max(discordant, δ),

    since no gain is larger than the share of problems whose verdict changes. 1 where there is
    no such δ.

    discordant: share of the problems whose verdicts differ.

    >>> round(smallest_difference(400, 0.3), 4)  # (1.96 + 0.84) √(0.3/400) without the δ²
    0.0765

    Source: Connor 1987, Biometrics 43, 207-211 (sample size for McNemar's test).
    """

    def surplus(gain: float) -> float:
        changed = max(discordant, gain)
        noise = _Z95 * math.sqrt(changed) + _Z80 * math.sqrt(changed - gain**2)
        return math.sqrt(n) * gain - noise

    low, high = 0.0, 1.0
    if surplus(high) < 0:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if surplus(middle) < 0 else (low, middle)
    return high


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p, adjusted for the others: of m in ascending order the i-th (from 0) times m − i,
    none below the one before it, and at most 1.

    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for i, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - i) * p_values[place]))
        adjusted[place] = least
    return adjusted


def pass_at(k: int, samples: int, right: int) -> float:
    """The chance that at least one of k of the samples, drawn without putting back, is right:

        1 − C(samples − right, k) / C(samples, k).

    The mean over problems is pass@k without bias; 1 − (1 − right/samples)^k is too low.

    >>> pass_at(2, samples=4, right=1)
    0.5

    Raises: ConfigError for k that is not from 1 to samples.
    Source: Chen et al. 2021, arXiv:2107.03374, equation 1.
    """
    if not 1 <= k <= samples:
        raise ConfigError(f"pass@k: got k = {k} of {samples} samples, expected 1 to {samples}")
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)


def confusion(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """(was, chosen) pairs → {was: {chosen: count}}, each with every label.

    >>> confusion([("kind", "kind"), ("kind", "other")])["kind"]
    {'kind': 1, 'other': 1}
    """
    counts = Counter(pairs)
    labels = sorted({label for pair in counts for label in pair})
    return {was: {chosen: counts[was, chosen] for chosen in labels} for was in labels}


def _gains(where: str, before: Sequence[bool], after: Sequence[bool]) -> list[int]:
    """1 for fixed, −1 for broken, 0 for no change."""
    if len(before) != len(after):
        raise ConfigError(
            f"{where}: got {len(before)} and {len(after)} outcomes, expected pairs"
        )
    return [int(b) - int(a) for a, b in zip(before, after, strict=True)]


def _sum_clusters(values: Sequence[float], clusters: Clusters) -> tuple[list[float], list[int]]:
    """The sum and the size of each cluster."""
    if clusters is None:
        return list(values), [1] * len(values)
    sums: dict[Hashable, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0) + value
    sizes = Counter(clusters)
    return list(sums.values()), [sizes[cluster] for cluster in sums]
