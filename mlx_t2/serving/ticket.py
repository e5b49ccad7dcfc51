"""One order from its submission to its last event. Knows plain values alone."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mlx_t2.adaptation import Chosen
from mlx_t2.sampling import Row

from .order import Event, Order, TokenScore
from .table import ExpertTable, Worn
from .text import AnswerText


@dataclass(eq=False)
class Ticket:
    """An order and how far it has got."""

    number: int
    order: Order
    listen: Callable[[Event], None]
    table: ExpertTable
    """The experts as they were when it was submitted."""
    submitted_at: float = field(default_factory=time.monotonic)
    is_over: bool = False
    """Nothing more is said of it."""
    wanted: Worn | Chosen | None = None
    """What it asks for, once it has been looked at."""
    prompt: list[int] = field(default_factory=list)
    """What is read: for `auto`, until it has decided, what it decides on."""
    max_tokens: int = 0
    """Longest completion [tokens]."""
    answers: list["TicketRow"] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many completions it asks for."""
        return len(self.order.configs)


@dataclass(eq=False)
class TicketRow:
    """One completion of an order."""

    ticket: Ticket
    index: int
    row: Row
    text: AnswerText
    worn: Worn
    failures: int = 0
    """Steps that have failed with it among the rows since the last one that did not."""


@dataclass
class ReadPrompt:
    """A prompt that has been read, for the rows that are to answer it."""

    worn: Worn
    tokens: list[int]
    caches: list
    """mlx-lm's own, of one row: all of the prompt but its last token."""
    cached: int
    """What a cache held of it."""
    first_pass_ms: float = 0.0
    echoed: tuple[TokenScore, ...] = ()
