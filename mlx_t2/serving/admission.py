"""Which orders may begin: those that fit the context, and the memory for keys and values. Knows
caches by their sizes alone; knows no steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from mlx_t2.models import SVFModel, find_limits, memory_bytes
from mlx_t2.svf import BASE

from .config import ServingConfig
from .order import Refused
from .ticket import Ticket

_SHARE = 0.5
"""A share of the memory that weights and prompt cache leave: joining a batch copies it."""
_LEAST = 64 << 20
_UNLIMITED = 1 << 20
"""Tokens of a context where nothing says how long it is."""
_FORESEEN = 1024
"""Tokens that room is kept for where an order sets no limit."""


@dataclass(frozen=True)
class CacheSize:
    """Bytes of the caches of one row."""

    fixed: int
    """Whatever its length."""
    growing: tuple[tuple[int, int | None], ...]
    """(bytes per token, the most tokens it holds) of each cache that grows."""

    def bytes_at(self, tokens: int) -> int:
        """What a row of that many tokens takes."""
        held = (size * min(tokens, most or tokens) for size, most in self.growing)
        return self.fixed + sum(held)


def measure_caches(model: SVFModel) -> CacheSize:
    """The sizes of the model's caches, from what two tokens leave in them."""
    caches = model.new_cache(BASE)
    model.extend(mx.array([[1, 1]]), caches)
    mx.eval([cache.state for cache in caches])
    fixed, growing = 0, []
    pending: list[Any] = list(caches)
    while pending:
        cache = pending.pop()
        if inner := getattr(cache, "caches", None):  # a list of several for one layer
            pending += inner
            continue
        keys, values = (getattr(cache, name, None) for name in ("keys", "values"))
        if isinstance(keys, mx.array) and isinstance(values, mx.array) and keys.ndim == 4:
            size = keys.nbytes // keys.shape[2] + values.nbytes // values.shape[2]
            growing.append((size, getattr(cache, "max_size", None)))
        else:
            fixed += cache.nbytes
    return CacheSize(fixed, tuple(growing))


def find_budget(cache_bytes: int) -> int:
    """What keys and values may take [bytes], beside what is in memory already and the prompt
    cache.
    """
    left = memory_bytes() - mx.get_active_memory() - cache_bytes
    return max(_LEAST, int(_SHARE * left))


class Admission:
    """The bounds of one model on this machine, and what keeps within them."""

    def __init__(self, model: SVFModel, config: ServingConfig, max_rows: int, longest: int):
        """longest: characters of the tokenizer's longest token; 0 where that is not known."""
        limits = model.once(find_limits)
        own = limits.positions or limits.trained or _UNLIMITED
        self._context = min(config.context or own, limits.positions or _UNLIMITED)
        self._max_rows, self._longest = max_rows, longest
        self._sizes = measure_caches(model)
        given = config.batch_bytes
        self._budget = find_budget(config.cache_bytes) if given is None else given

    def check_length(self, ticket: Ticket) -> None:
        """Raise Refused for what is too long for the context however it is cut into tokens: to
        cut it would take seconds, in which nobody's answer goes on.
        """
        order = ticket.order
        if order.tokens:
            ticket.prompt = list(order.tokens)
            self.fit(ticket)
        count, longest = order.characters, self._longest
        if longest and count > longest * self._context:
            raise Refused(
                "context_length",
                f"prompt: got {count} characters, expected at most {longest * self._context}: "
                f"the context has {self._context} tokens, and no token more than {longest} "
                "characters",
            )

    def fit(self, ticket: Ticket) -> None:
        """Fit the answer to the prompt. Raises Refused where there is no room for one, in the
        context or in memory.
        """
        count, wanted = len(ticket.prompt), ticket.order.max_tokens
        room = self._context - count
        if room < (0 if wanted == 0 else 1):
            raise Refused(
                "context_length",
                f"prompt: got {count} tokens, expected fewer than the {self._context} that the "
                "context has for prompt and completion",
            )
        ticket.max_tokens = room if wanted is None else min(wanted, room)
        least = count + 1 if wanted is None else count + ticket.max_tokens
        needed = ticket.count * self._sizes.bytes_at(least)
        if needed > self._budget:
            raise Refused(
                "memory",
                f"request: its keys and values take {needed} bytes, expected at most "
                f"{self._budget}. Ask for fewer or shorter completions, or shorten the prompt",
            )

    def has_room(self, ticket: Ticket, begun: Sequence[Ticket]) -> bool:
        """Whether there are rows and memory for it beside those that have begun; always, where
        none have.
        """
        if not begun:
            return True
        rows = sum(map(_count_rows, begun)) + ticket.count
        longest = max(map(_foresee, [*begun, ticket]))
        return rows <= self._max_rows and self.holds(rows, longest)

    def holds(self, rows: int, longest: int) -> bool:
        """Whether keys and values of that many rows of that many tokens keep within bounds."""
        return rows * self._sizes.bytes_at(longest) <= self._budget


def _count_rows(ticket: Ticket) -> int:
    """Rows that it takes now, or will once its prompt is read."""
    if not ticket.answers:
        return ticket.count
    return sum(one.row.finish_reason is None for one in ticket.answers)


def _foresee(ticket: Ticket) -> int:
    """Tokens of its longest row in the end, as far as can be told."""
    unlimited = ticket.order.max_tokens is None
    answer = min(ticket.max_tokens, _FORESEEN) if unlimited else ticket.max_tokens
    drawn = max((len(one.row.tokens) for one in ticket.answers), default=0)
    return len(ticket.prompt) + max(answer, drawn)
