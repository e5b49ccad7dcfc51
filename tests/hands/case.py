"""One situation that people were in: a command, its surroundings, and how it has to end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is typed where, and what is said."""

    kind: str
    """Which kind of trouble it is one of; at least three cases for each."""
    words: str
    """What is typed after `t2`, quoted as in a shell. It runs in the folder `place` of
    conftest.py, a copy of its own.
    """
    code: int
    """Exit code."""
    said: str = ""
    """A part of stderr, on one line."""
    printed: str = ""
    """A part of stdout."""
    prepare: Callable[[Path], None] | None = None
    """Puts things into the folder first."""
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes | None = b""
    """What comes in; None closes the descriptor."""

    @property
    def is_of_the_process(self) -> bool:
        """It is about what only a process of its own has: descriptors, encodings, variables."""
        return self.stdin is None or bool(self.environment)
