"""Blind votes between two ways to answer, and their tally. Knows no model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlx_t2.files import append_line, file_errors, read_lines
from mlx_t2.folders import data_dir

from ..choice import label_choice


@dataclass(frozen=True)
class Vote:
    """Which of two words was better for a question that only the voter knows."""

    one: str
    other: str
    model: str
    preferred: str = ""
    """One of the two; empty for even."""

    def cast(self, number: int) -> "Vote":
        """1 and 2 are the two, 0 is even."""
        return replace(self, preferred=("", self.one, self.other)[number])


def read_answer(line: str) -> int | None:
    """1, 2, 0 for even; None for anything else."""
    return {"1": 1, "2": 2, "=": 0, "0": 0, "even": 0}.get(line.strip().lower())


def votes_file() -> Path:
    """Where votes are kept, one JSON line each."""
    return data_dir() / "votes.jsonl"


def record(vote: Vote) -> None:
    """Add the vote to the file. Raises FileError where it cannot be written."""
    with file_errors(votes_file()):
        votes_file().parent.mkdir(parents=True, exist_ok=True)
    append_line(votes_file(), vars(vote))


def read_votes() -> list[Vote]:
    """All votes that have been kept; lines of another form are left out."""
    fields = set(Vote.__dataclass_fields__)
    return [
        Vote(**entry)
        for entry in read_lines(votes_file())
        if set(entry) == fields and all(isinstance(value, str) for value in entry.values())
    ]


def count_votes(votes: Sequence[Vote], words: Sequence[str]) -> str:
    """The tally of the two.

    >>> cast = [Vote("off", "kind", "m").cast(n) for n in (2, 2, 0)]
    >>> count_votes(cast, ["kind", "off"])
    'kind 2 · off 0 · even 1 (3 votes)'
    """
    between = [vote for vote in votes if {vote.one, vote.other} == set(words)]
    of = [sum(vote.preferred == word for vote in between) for word in words]
    even = len(between) - sum(of)
    named = " · ".join(f"{label_choice(w)} {n}" for w, n in zip(words, of, strict=True))
    return f"{named} · even {even} ({len(between)} vote{'s' * (len(between) != 1)})"
