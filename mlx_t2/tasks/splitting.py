"""Rows in splits that share no question: as published, else cut by a hash of the question.

Knows questions as texts, and nothing else of a row.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlx_t2.errors import TaskDataError

from .source import Config, has_split, read_rows
from .task import ALL, SPLITS

Row = Mapping[str, Any]

_CUT = {"train": 0.4, "validation": 0.5, "test": 1.0}
"""Where a published test part is cut, there being no other: the end of each split's share."""
_HELD_OUT = 0.1
"""What is cut from a published training part where there is no validation part."""


def position_of(question: str) -> float:
    """Where a question lies in [0, 1), by a hash of its words: the same in every task and on
    every machine. Blanks, capitals and forms of a character make no other question.

    >>> position_of("2 +  3?") == position_of(" 2 + 3?") != position_of("2 + 4?")
    True
    """
    digest = hashlib.sha256(same_question(question).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def same_question(question: str) -> str:
    """What two wordings of one question have in common."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split())


def cut(
    rows: Sequence[Row], question: Callable[[Row], str], ends: Mapping[str, float]
) -> dict[str, list[Row]]:
    """The rows in the split whose share their question lies in.

    ends: the end of each split's share of [0, 1), ascending; the last is 1.

    >>> cut([{"q": "a"}], lambda row: row["q"], {"train": 0.0, "test": 1.0})["test"]
    [{'q': 'a'}]
    """
    parts: dict[str, list[Row]] = {split: [] for split in ends}
    for row in rows:
        at = position_of(question(row))
        parts[next(split for split, end in ends.items() if at < end)].append(row)
    return parts


def without(
    rows: Sequence[Row], question: Callable[[Row], str], *kept: Sequence[Row]
) -> list[Row]:
    """The rows whose question is in none of the others."""
    taken = {same_question(question(row)) for others in kept for row in others}
    return [row for row in rows if same_question(question(row)) not in taken]


@dataclass(frozen=True, kw_only=True)
class PublicSet:
    """A public data set in splits that share no question.

    Published parts are kept; where there is no validation part, a tenth of the training part is
    it; where there is nothing but a test part, that is cut in three.
    """

    hub_id: str
    config: Config
    question: Callable[[Row], str]
    """What makes two rows ask the same."""
    columns: Mapping[str, type]
    """What every row must have, and the kind of it."""
    published: tuple[str, ...]
    """The parts on the hub."""
    splits: tuple[str, ...] = SPLITS
    """The splits that a task of it has."""

    def rows(self, split: str) -> list[Row]:
        """The rows of one of `splits`, or of `all`."""
        if split in (ALL, "test") and (split == ALL or not self._is_cut()):
            return self._read("test")
        if self._is_cut():
            return cut(self._read("test"), self.question, _CUT)[split]
        test = self._read("test")
        if "validation" in self._parts():
            validation = without(self._read("validation"), self.question, test)
            if split == "validation":
                return validation
            return without(self._read("train"), self.question, test, validation)
        train = without(self._read("train"), self.question, test)
        ends = {"validation": _HELD_OUT, "train": 1.0}
        return cut(train, self.question, ends)[split]

    def source(self) -> str:
        """Where the rows are from and how they were split, in a line; reads none of them."""
        config = f" ({self.config})" if isinstance(self.config, str) else ""
        try:
            parts = self._parts()
        except TaskDataError as error:
            return f"{self.hub_id}{config}; not at hand: {error}"
        if self.splits == ("test",):
            how = "its test part"
        elif self._is_cut():
            how = (
                "only its test part is at hand, cut by a hash of the question: 40 % train, "
                "10 % validation, 50 % test; this split test is not the whole test part"
            )
        elif "validation" in parts:
            how = "its own train, validation and test parts"
        else:
            how = "its own train and test parts; validation: 10 % of train, by a hash"
        return f"{self.hub_id}{config}, {how}"

    def _parts(self) -> tuple[str, ...]:
        found = (has_split(self.hub_id, self.config, s, self.published) for s in SPLITS)
        return tuple(split for split, there in zip(SPLITS, found, strict=True) if there)

    def _is_cut(self) -> bool:
        return "train" in self.splits and "train" not in self._parts()

    def _read(self, part: str) -> list[Row]:
        return list(read_rows(self.hub_id, self.config, part, self.columns))
