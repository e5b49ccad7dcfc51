"""One answered problem, and files of them: a JSON object per line. Knows no models.

A file belongs to one evaluation: each line names what it depends on, so that a line on its own
says where it is from, and an evaluation that goes on knows whether a file is its own.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mlx_t2.errors import TaskDataError
from mlx_t2.files import find_kind, parse_line, split_lines, write_whole
from mlx_t2.svf import Form
from mlx_t2.tasks import Message

_FAULTS = 3
"""Unusable lines that an error names."""


@dataclass(frozen=True)
class GradedItem:
    """One problem, answered and graded."""

    id: str
    question: str
    answer: str
    """A right answer."""
    completion: str
    reward: float
    is_right: bool
    reason: str
    """Why it is right or wrong, in a few words."""
    is_finished: bool
    """It ended by itself, not by the limit."""
    label: str | None
    """What the first pass chose."""
    coefficients: dict[str, float]
    """{expert: its share in the scales}; those missing have none."""
    kind: str
    """Class or position of the right answer."""
    form: Form = "live"
    """How the scales were worn."""
    is_strict: bool | None = None
    """Right, and in the form that was asked for; None: as `is_right`."""
    is_lenient: bool | None = None
    """Right, whatever the form and even if cut off; None: as `is_right`."""
    prompt: tuple[Message, ...] = ()
    """The whole chat, the question last."""
    cluster: str = ""
    """What the problem shares with others; empty: nothing."""
    sample: int = 0
    """Which of the problem's samples."""
    samples: int = 1
    """How many each problem has."""
    temperature: float = 0.0
    max_tokens: int = 0
    """The limit [tokens]."""
    seed: int = 0
    task: str = ""
    split: str = ""
    model: str = ""
    strategy: str = ""
    fingerprint: str = ""
    """A hash of the weights and scales that answered, where it was asked for."""

    def __post_init__(self) -> None:
        for name in ("is_strict", "is_lenient"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.is_right)

    @property
    def group(self) -> str:
        """What it is right or wrong together with: its cluster, or its problem."""
        return self.cluster or self.id


IDENTITY = (
    *("task", "split", "seed", "model", "strategy", "samples", "temperature", "max_tokens"),
    "fingerprint",
)
"""Fields that all items of one evaluation have in common."""


def write_items(items: Iterable[GradedItem], path: Path | str) -> None:
    """One JSON object per line, whole or not at all. Raises FileError where that fails."""
    write_whole(path, "".join(map(item_line, items)))


def item_line(item: GradedItem) -> str:
    """The item as a line of its file."""
    # ASCII alone: an answer may hold half of a surrogate pair, which UTF-8 has no bytes for.
    return json.dumps(asdict(item)) + "\n"


def read_items(path: Path | str) -> list[GradedItem]:
    """The items that `write_items` wrote. Raises TaskDataError that names unusable lines;
    FileError where the file cannot be read.
    """
    path = Path(path)
    if find_kind(path) != "file":
        raise TaskDataError(
            f"{path}: got no file, expected answers as `t2 eval --out` writes them"
        )
    lines = split_lines(path)
    items, faults = parse_items(lines)
    if faults or not lines:
        raise TaskDataError(describe_faults(path, faults))
    return items


def parse_items(lines: Sequence[bytes]) -> tuple[list[GradedItem], list[str]]:
    """The items of the lines, and what is wrong with each line that has none."""
    items, faults = [], []
    for number, line in enumerate(lines, 1):
        try:
            items.append(_item(line))
        except TypeError as error:
            faults.append(f"line {number}: {error}")
    return items, faults


def describe_faults(path: Path, faults: Sequence[str]) -> str:
    """What is wrong with a file of answers, in one line."""
    shown = "; ".join(faults[:_FAULTS]) or "got no line"
    more = f"; and {len(faults) - _FAULTS} more" if len(faults) > _FAULTS else ""
    return f"{path}: {shown}{more}, expected answers as `t2 eval --out` writes them"


_CHECKED: dict[str, tuple[Any, str]] = {
    "id": (str, "text"),
    "completion": (str, "text"),
    "reward": (int | float, "a number"),
    "is_right": (bool, "true or false"),
    "is_finished": (bool, "true or false"),
    "is_strict": (bool | None, "true or false"),
    "is_lenient": (bool | None, "true or false"),
    "prompt": (list, "a list of messages"),
    "kind": (str, "text"),
    "cluster": (str, "text"),
    "sample": (int, "a whole number"),
    "samples": (int, "a whole number"),
}
"""{field: (type, in words)} of what reports and comparisons read."""
_NAMES = {field.name for field in fields(GradedItem)}
_NEEDED = [field.name for field in fields(GradedItem) if field.default is MISSING]


def _item(line: bytes) -> GradedItem:
    """Raises TypeError for anything but the fields of an item."""
    entry = parse_line(line)
    if entry is None:
        raise TypeError(f"got {_shorten(line)}, expected a JSON object")
    for name, (kind, words) in _CHECKED.items():
        if name in entry or name in _NEEDED:
            value = entry.get(name)
            if not isinstance(value, kind):
                raise TypeError(f"got {name} {value!r}, expected {words}")
    if unknown := sorted(entry.keys() - _NAMES):
        raise TypeError(f"got {', '.join(unknown)}, expected fields of an answer")
    if missing := [name for name in _NEEDED if name not in entry]:
        raise TypeError(f"got no {', '.join(missing)}")
    values: dict[str, Any] = entry | {"prompt": tuple(entry.get("prompt", ()))}
    return GradedItem(**values)


def _shorten(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
