"""Graded items → a report and tables. Knows no models and no files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mlx_t2.errors import ConfigError
from mlx_t2.grading import HIDDEN_FAILED

from .items import GradedItem
from .scores import bootstrap_mean, clustered_wilson, pass_at


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of one evaluation. Shares are of all answers."""

    task: str
    model: str
    split: str
    n: int
    """Problems."""
    samples: int
    """Answers to each problem."""
    clusters: int
    """Problems that share nothing, and sets of those that do."""
    correct: int
    """Answers that are right: `accuracy` is their share."""
    accuracy: float
    interval: tuple[float, float]
    """Wilson, 95 %, clustered."""
    strict: float
    """Right, and in the form that was asked for."""
    lenient: float
    """Right, whatever the form and even if cut off."""
    truncated: float
    """Cut off by the limit."""
    seconds: float
    strategy: str
    source: str = ""
    """Where the problems are from."""
    pass_at: dict[str, float] = field(default_factory=dict)
    """{k: pass@k}, where there are several samples."""
    pass_at_interval: dict[str, tuple[float, float]] = field(default_factory=dict)
    """{k: its 95 % bootstrap interval}, clusters drawn anew."""
    sandbox: str | None = None
    """The sandbox's level, where answers were run."""
    hidden_failed: int = 0
    """Programs that pass the tests which their prompt shows, and fail one that it does not."""

    @classmethod
    def of(
        cls,
        items: Sequence[GradedItem],
        *,
        task: str,
        model: str,
        split: str,
        seconds: float,
        strategy: str,
        ks: Sequence[int] = (),
        source: str = "",
        sandbox: str | None = None,
    ) -> "Report":
        """Counts, shares and intervals of the items.

        ks: for pass@k; 1 and the number of samples where there are several and none is given.
        Raises: ConfigError for no items, or k above the number of samples.
        """
        if not items:
            raise ConfigError("report: got no items, expected at least one")
        shared, samples = [item.group for item in items], items[0].samples
        ks = ks or ((1, samples) if samples > 1 else ())
        at = {str(k): _pass_at(k, items) for k in ks}
        correct, n = sum(item.is_right for item in items), len(items)
        return cls(
            task=task,
            model=model,
            split=split,
            n=n // samples,
            samples=samples,
            clusters=len(set(shared)),
            correct=correct,
            accuracy=correct / n,
            interval=clustered_wilson([item.is_right for item in items], shared),
            strict=sum(item.is_strict or False for item in items) / n,
            lenient=sum(item.is_lenient or False for item in items) / n,
            truncated=sum(not item.is_finished for item in items) / n,
            seconds=seconds,
            strategy=strategy,
            source=source,
            pass_at={k: share for k, (share, _) in at.items()},
            pass_at_interval={k: bounds for k, (_, bounds) in at.items()},
            sandbox=sandbox,
            hidden_failed=sum(item.reason.startswith(HIDDEN_FAILED) for item in items),
        )

    def to_json(self) -> dict[str, Any]:
        """The keys that scripts rely on; those that say nothing here are left out."""
        optional = ("pass_at", "pass_at_interval", "sandbox", "source", "hidden_failed")
        return {k: v for k, v in asdict(self).items() if v or k not in optional}


@dataclass(frozen=True)
class Share:
    """How many of how many."""

    correct: int
    n: int

    @property
    def accuracy(self) -> float:
        """Between 0 and 1."""
        return self.correct / self.n


def _pass_at(k: int, items: Sequence[GradedItem]) -> tuple[float, tuple[float, float]]:
    """pass@k over all problems, and its interval."""
    groups = {item.id: item.group for item in items}
    right = Counter(item.id for item in items if item.is_right)
    chances = [pass_at(k, items[0].samples, right[id]) for id in groups]
    return sum(chances) / len(chances), bootstrap_mean(chances, list(groups.values()))


def by_kind(items: Sequence[GradedItem]) -> dict[str, Share]:
    """Accuracy for each class or position of the right answer.

    One kind right and the others wrong is a trick, not a skill.
    """
    asked = Counter(item.kind for item in items)
    right = Counter(item.kind for item in items if item.is_right)
    return {kind: Share(right[kind], n) for kind, n in sorted(asked.items())}


def commonest_answer(items: Sequence[GradedItem]) -> tuple[str, float]:
    """The completion given most often, and its share: near 1 where the model has collapsed."""
    answer, count = Counter(item.completion.strip() for item in items).most_common(1)[0]
    return answer, count / len(items)
