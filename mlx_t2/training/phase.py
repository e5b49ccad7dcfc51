"""What a training is doing at the moment, for whoever watches it. Knows no models.

Work that takes long is a generator: it yields a `Phase` where it begins and wherever it has got
on, and returns its result to the `yield from` of its caller.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True)
class Phase:
    """A part of the work that has begun, or has got on."""

    name: str
    """`measuring memory`, `validation before`, `sampling`, `gradient`, …"""
    done: int = 0
    total: int = 0
    """Passes, completions or problems; 0 where they are not counted."""
    step: int = 0
    """The step that it belongs to; 0 before the first one and after the last."""
    found: str = ""
    """What it has found, in words, where that is worth a note."""


Watched = Generator[Phase, None, T]
"""Work that says where it is; T is its result."""


def finish(work: Generator[E, None, T]) -> T:
    """The result, unwatched."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
