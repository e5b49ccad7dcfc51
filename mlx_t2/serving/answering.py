"""The orders of one request while they are answered: events from the model's thread, and the
news that the client has left, in one queue.

Whatever ends a request, its orders are given up: aborting one that has ended does nothing.
Knows no JSON.
"""

import asyncio
from contextlib import suppress
from functools import partial

from starlette.types import Receive

from .fault import Fault
from .order import Backend, Event, Order, Piece, Refused, Started, TokenScore


class ClientGone(Exception):
    """Nobody waits for the answer any longer."""


class Answering:
    """Inside the block, events arrive; after it, nothing of the orders goes on."""

    def __init__(self, backend: Backend, orders: tuple[Order, ...], receive: Receive):
        """receive: says when the client leaves; the body has been read from it."""
        self._backend = backend
        self._orders = orders
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[int, Event] | None] = asyncio.Queue()
        self._numbers: list[int] = []
        self._is_gone = False

    async def __aenter__(self) -> "Answering":
        """Submit the orders, all or none.

        Raises: Refused; Fault for more orders than an empty queue has room for.
        """
        try:
            for at, order in enumerate(self._orders):
                hear = partial(self._hear, at)
                self._numbers.append(self._backend.submit(order, hear))
        except Refused as refused:
            self._give_up()
            if refused.kind == "busy":
                self._check_count()
            raise
        self._watcher = asyncio.create_task(self._watch())
        return self

    def _check_count(self) -> None:
        """Raises: Fault where waiting cannot help."""
        most = self._backend.counters().get("queue_limit")
        if most is not None and len(self._orders) > most:
            raise Fault(
                f"prompt: got {len(self._orders)} prompts, expected {most:.0f} at most: no "
                "more can wait in this server's queue",
                "prompt",
                "invalid_value",
            ) from None

    async def __aexit__(self, *error: object) -> None:
        """Give the orders up."""
        self._watcher.cancel()
        self._give_up()

    def _give_up(self) -> None:
        for number in self._numbers:
            self._backend.abort(number)

    def _hear(self, at: int, event: Event) -> None:
        """Called by the model's thread."""
        with suppress(RuntimeError):  # the loop has ended, and whoever waited with it
            self._loop.call_soon_threadsafe(self._queue.put_nowait, (at, event))

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._give_up()
        self._queue.put_nowait(None)

    async def wait(self, within_s: float | None = None) -> list[tuple[int, Event]]:
        """(number of the order, event) of all that has happened since: at least one.

        Raises: ClientGone; TimeoutError where nothing happens within this time [s].
        """
        async with asyncio.timeout(within_s):
            found = [await self._queue.get()]
        while not self._queue.empty():
            found.append(self._queue.get_nowait())
        if self._is_gone:
            raise ClientGone
        return [one for one in found if one is not None]


class Draft:
    """One completion as far as it has been drawn."""

    def __init__(self):
        self._texts: list[str] = []
        self.scores: list[TokenScore] = []
        self.tokens = 0
        self.finish_reason: str | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._texts)

    def add(self, piece: Piece) -> None:
        """Take more of it down."""
        self._texts.append(piece.text)
        self.scores.extend(piece.scores)
        self.tokens = piece.completion_tokens
        self.finish_reason = piece.finish_reason


class Drafts:
    """Every completion of a request. Numbers of choices run over prompts, then rows."""

    def __init__(self, orders: tuple[Order, ...]):
        self._rows = [len(order.configs) for order in orders]
        self.started: list[Started | None] = [None] * len(orders)
        self.choices = [Draft() for _ in range(sum(self._rows))]

    def numbers(self, at: int) -> range:
        """The choices of one order."""
        first = sum(self._rows[:at])
        return range(first, first + self._rows[at])

    def add(self, at: int, event: Started | Piece) -> None:
        """Take an event of an order down."""
        if isinstance(event, Started):
            self.started[at] = event
        else:
            self.choices[self.numbers(at)[event.row]].add(event)

    @property
    def is_whole(self) -> bool:
        """Whether every completion has its end."""
        return all(choice.finish_reason is not None for choice in self.choices)

    @property
    def tokens(self) -> int:
        """Drawn for all completions together."""
        return sum(choice.tokens for choice in self.choices)

    def beginnings(self) -> list[Started]:
        """Every prompt that has been read."""
        return [one for one in self.started if one is not None]
