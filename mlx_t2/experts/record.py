"""What an expert's file says of its accuracy. Knows the keys that a training writes, and that a
stranger may have written anything there.
"""

from dataclasses import dataclass
from typing import Any

from .expert import Expert

_KEYS = {
    "test": ("base_accuracy", "final_accuracy", "n_eval"),
    "validation": ("base_validation", "best_validation", "n_validation"),
}
"""{split: where the metrics have the share before, the share after, and of how many}."""


@dataclass(frozen=True)
class Record:
    """Accuracy before and after the training, on the problems of one split."""

    split: str
    before: float
    after: float
    n: int | None
    """Problems; None where the file does not say."""


def records_of(expert: Expert) -> tuple[Record, ...]:
    """The expert's own record, test problems first; validation problems chose the expert, so
    their share is the more flattering one. Empty where the file does not say.
    """
    found = (_read_record(split, expert.metrics) for split in _KEYS)
    return tuple(record for record in found if record is not None)


def _read_record(split: str, metrics: dict[str, Any]) -> Record | None:
    before, after, n = (metrics.get(key, -1) for key in _KEYS[split])
    if not all(type(share) in (int, float) and 0 <= share <= 1 for share in (before, after)):
        return None
    n = n if type(n) is int and n > 0 else None
    return Record(split, float(before), float(after), n)
