"""Graded items → a report, a table, a comparison, a JSONL file and back. Knows no models."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mlx_t2.errors import ConfigError, TaskDataError
from mlx_t2.files import write_whole

from .answering import GradedItem
from .scores import Paired, bootstrap, mcnemar, wilson


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of one evaluation."""

    task: str
    model: str
    split: str
    n: int
    correct: int
    accuracy: float
    interval: tuple[float, float]
    """Wilson, 95 %."""
    seconds: float
    strategy: str

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
    ) -> "Report":
        """Counts, accuracy and interval of the items."""
        if not items:
            raise ConfigError("report: got no items, expected at least one")
        correct = sum(item.is_right for item in items)
        return cls(
            task=task,
            model=model,
            split=split,
            n=len(items),
            correct=correct,
            accuracy=correct / len(items),
            interval=wilson(correct, len(items)),
            seconds=seconds,
            strategy=strategy,
        )

    def to_json(self) -> dict[str, Any]:
        """The keys that scripts rely on."""
        return asdict(self) | {"interval": list(self.interval)}


@dataclass(frozen=True)
class Share:
    """How many of how many."""

    correct: int
    n: int

    @property
    def accuracy(self) -> float:
        """Between 0 and 1."""
        return self.correct / self.n


@dataclass(frozen=True)
class Comparison:
    """Two evaluations of the same problems."""

    n: int
    before: float
    """Accuracy of the first."""
    after: float
    paired: Paired
    interval: tuple[float, float]
    """Bootstrap interval of after − before, 95 %."""


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


def compare(before: Sequence[GradedItem], after: Sequence[GradedItem]) -> Comparison:
    """Pair two evaluations by problem. Raises ConfigError where the problems differ."""
    first, second = ({item.id: item.is_right for item in items} for items in (before, after))
    missing = first.keys() ^ second.keys()
    if missing or not first:
        raise ConfigError(
            f"compare: got {len(first)} and {len(second)} problems, {len(missing)} of them "
            f"only once ({', '.join(sorted(missing)[:3])}), expected the same. Evaluate with "
            "equal split, limit and seed"
        )
    outcomes = list(first.values()), [second[id] for id in first]
    n = len(first)
    return Comparison(
        n, sum(outcomes[0]) / n, sum(outcomes[1]) / n, mcnemar(*outcomes), bootstrap(*outcomes)
    )


def write_items(items: Iterable[GradedItem], path: Path | str) -> None:
    """One JSON object per line, whole or not at all. Raises FileError where that fails."""
    # ASCII alone: an answer may hold half of a surrogate pair, which UTF-8 has no bytes for.
    write_whole(path, "".join(json.dumps(asdict(item)) + "\n" for item in items))


def read_items(path: Path | str) -> list[GradedItem]:
    """The items that `write_items` wrote. Raises TaskDataError naming each unusable line."""
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, ValueError) as error:
        raise TaskDataError(f"{path}: the answers cannot be read ({error})") from error
    names = [field.name for field in fields(GradedItem)]
    items, faults = [], []
    for number, line in enumerate(lines, 1):
        try:
            items.append(_item(json.loads(line)))
        except (ValueError, TypeError, RecursionError) as error:
            faults.append(f"line {number}: {error}")
    if faults or not items:
        raise TaskDataError(
            f"{path}: expected lines with {', '.join(names)}\n"
            + "\n".join(faults or ["got no line"])
        )
    return items


_CHECKED = {
    "id": (str, "text"),
    "reward": (int | float, "a number"),
    "is_right": (bool, "true or false"),
}
"""{field: (type, in words)} of what reports and comparisons read."""


def _item(entry: Any) -> GradedItem:
    """Raises TypeError for anything but the fields of an item."""
    if not isinstance(entry, dict):
        raise TypeError(f"got {entry!r}, expected an object")
    for name, (kind, words) in _CHECKED.items():
        if not isinstance(value := entry.get(name), kind):
            raise TypeError(f"got {name} {value!r}, expected {words}")
    return GradedItem(**entry)
