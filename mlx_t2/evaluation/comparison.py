"""Two evaluations of the same problems, paired. Knows no models and no files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlx_t2.errors import ConfigError

from .items import GradedItem
from .scores import Paired, bootstrap, effective_count, holm, mcnemar, smallest_difference


@dataclass(frozen=True)
class Verdicts:
    """Shares of the answers of one of the two."""

    accuracy: float
    strict: float
    lenient: float
    truncated: float


@dataclass(frozen=True)
class Comparison:
    """Two evaluations of the same problems."""

    n: int
    clusters: int
    """Problems that share nothing, and sets of those that do."""
    first: Verdicts
    second: Verdicts
    paired: Paired
    interval: tuple[float, float]
    """Bootstrap interval of after − before, 95 %."""
    smallest_difference: float
    """That a test of these problems would show four times in five, see `scores`."""
    fixed: tuple[str, ...]
    """The ids of the problems that are wrong before and right after."""
    broken: tuple[str, ...]
    """The ids of those that are right before and wrong after."""
    p_adjusted: float
    """p, where several were compared with the first: adjusted for that (Holm)."""

    @property
    def before(self) -> float:
        """Accuracy of the first."""
        return self.first.accuracy

    @property
    def after(self) -> float:
        """Accuracy of the second."""
        return self.second.accuracy

    def to_json(self) -> dict[str, Any]:
        """The keys that scripts rely on."""
        shares = {
            name: [getattr(self.first, name), getattr(self.second, name)]
            for name in ("strict", "lenient", "truncated")
        }
        return {
            "n": self.n,
            "clusters": self.clusters,
            "before": self.before,
            "after": self.after,
            "fixed": self.paired.fixed,
            "broken": self.paired.broken,
            "p": self.paired.p,
            "p_adjusted": self.p_adjusted,
            "interval": list(self.interval),
            "smallest_difference": self.smallest_difference,
            **shares,
            "fixed_ids": list(self.fixed),
            "broken_ids": list(self.broken),
        }


def compare(before: Sequence[GradedItem], after: Sequence[GradedItem]) -> Comparison:
    """Pair two evaluations by problem.

    Raises: ConfigError where the problems differ, or one is there twice.
    """
    first, second = _by_problem("the first", before), _by_problem("the second", after)
    missing = first.keys() ^ second.keys()
    if missing or not first:
        raise ConfigError(
            f"compare: got {len(first)} and {len(second)} problems, {len(missing)} of them "
            f"only once ({', '.join(sorted(missing)[:3])}), expected the same. Evaluate with "
            "equal split, limit and seed"
        )
    ids = list(first)
    outcomes = [first[id].is_right for id in ids], [second[id].is_right for id in ids]
    shared, n = [first[id].group for id in ids], len(ids)
    gains = [int(b) - int(a) for a, b in zip(*outcomes, strict=True)]
    paired = mcnemar(*outcomes, shared)
    return Comparison(
        n=n,
        clusters=len(set(shared)),
        first=_verdicts(before),
        second=_verdicts(after),
        paired=paired,
        interval=bootstrap(*outcomes, shared),
        smallest_difference=smallest_difference(
            effective_count(gains, shared), (paired.fixed + paired.broken) / n
        ),
        fixed=tuple(id for id, gain in zip(ids, gains, strict=True) if gain > 0),
        broken=tuple(id for id, gain in zip(ids, gains, strict=True) if gain < 0),
        p_adjusted=paired.p,
    )


def compare_all(
    before: Sequence[GradedItem], others: Sequence[Sequence[GradedItem]]
) -> list[Comparison]:
    """Each of the others against the first, with p adjusted for their number."""
    found = [compare(before, after) for after in others]
    adjusted = holm([one.paired.p for one in found])
    return [replace(one, p_adjusted=p) for one, p in zip(found, adjusted, strict=True)]


def _by_problem(which: str, items: Sequence[GradedItem]) -> dict[str, GradedItem]:
    counts = Counter(item.id for item in items)
    twice = [id for id, count in counts.items() if count > 1]
    if twice:
        raise ConfigError(
            f"compare: {which} has {counts[twice[0]]} answers to {twice[0]!r}"
            f"{f' and several to {len(twice) - 1} more' if len(twice) > 1 else ''}, expected "
            "one to each problem: an evaluation without --samples"
        )
    return {item.id: item for item in items}


def _verdicts(items: Sequence[GradedItem]) -> Verdicts:
    def share(verdicts: list[bool | None]) -> float:
        return sum(map(bool, verdicts)) / len(verdicts)

    return Verdicts(
        accuracy=share([item.is_right for item in items]),
        strict=share([item.is_strict for item in items]),
        lenient=share([item.is_lenient for item in items]),
        truncated=share([not item.is_finished for item in items]),
    )
