"""Which prompt is read next, and how much of it at once. Knows tokens and seconds; knows no
model.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from mlx_t2.reading import PASS

from .config import ServingConfig
from .ticket import Ticket, TicketRow

Read = tuple[int, int]
"""Tokens that a piece had, and those that are left behind it, about."""
_STEP = 64
"""Pieces are this many tokens or a multiple: shapes repeat, and fewer take hardly less time."""
_IDLE_TOKENS, _IDLE_S, _IDLE_LEAST = 4, 2, 2
"""How many times as much, as long, and as much at least, is read at once while nobody waits for
it: pieces of one step take a tenth more time in all.
"""
_OVERTAKEN = 4
"""Rounds in a row in which others may be read before the oldest."""


@dataclass(eq=False)
class Job:
    """A prompt that is being read."""

    pieces: Generator[Read, None, Any]
    left: int
    """Tokens, about."""
    ticket: Ticket
    again: TicketRow | None = None
    """The row that is read again after a failed step; else the order's prompt is read."""
    pace: float = 0.0
    """The time per token of its last piece [s]: it grows with what has been read before."""


class Schedule:
    """The prompts that are being read, oldest first, in rounds of about one time.

    A round is one piece of the shortest prompt, and then of others what fits whole into the
    time that is left: what has been read is decoded before a long prompt goes on. The oldest is
    never overtaken for long.
    """

    def __init__(self, config: ServingConfig):
        self._config = config
        self.jobs: list[Job] = []
        self.piece = config.chunk_tokens
        """The most that the job chosen last may read at once [tokens]."""
        self._pace = 0.0
        self._overtaken = 0
        self._least, self._most = 0, 0
        self._left_s, self._is_first = 0.0, True

    def begin_round(self, is_waited_for: bool) -> None:
        """is_waited_for: rows are decoded, and wait."""
        is_idle = not is_waited_for and len(self.jobs) < 2
        self._least = _STEP * (_IDLE_LEAST if is_idle else 1)
        self._most = self._config.chunk_tokens * (_IDLE_TOKENS if is_idle else 1)
        self._left_s = self._config.wait_s * (_IDLE_S if is_idle else 1)
        self._is_first = True

    def choose(self) -> Job | None:
        """Whose piece is read next; None where the round has had enough."""
        if not self.jobs:
            return None
        oldest, job = self.jobs[0], min(self.jobs, key=lambda job: job.left)
        if self._is_first:
            job = oldest if self._overtaken >= _OVERTAKEN else job
            self._overtaken = 0 if job is oldest else self._overtaken + 1
        self.piece = self._fit(job)
        if not self._is_first and (self._left_s <= 0 or job.left > self.piece):
            return None
        self._is_first = False
        return job

    def _fit(self, job: Job) -> int:
        """Tokens of the job that take the time that is left, as far as can be foreseen."""
        pace = job.pace or self._pace
        foreseen = int(self._left_s / pace) - PASS if pace else _STEP
        return min(self._most, max(self._least, foreseen // _STEP * _STEP))

    def note(self, job: Job, count: int, seconds: float) -> None:
        """The job has read `count` tokens in this time."""
        self._left_s -= seconds
        if count:
            job.pace = seconds / (count + PASS)
            self._pace = 0.7 * self._pace + 0.3 * job.pace if self._pace else job.pace
