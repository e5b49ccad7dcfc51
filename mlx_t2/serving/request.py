"""One request of a client: the orders that it becomes, and the shape of its answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .order import Order
from .shapes import Shape

Wear = Callable[[str, Mapping[str, float] | None], str]
"""(model, mix) → what an order wears; raises Fault for what is not served."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a body asks for."""

    model: str
    """As it was asked for, and as the answer says it."""
    orders: tuple[Order, ...]
    """One per prompt."""
    shape: Shape
    param: str
    """The field that holds the prompt."""
    is_streamed: bool
    has_usage: bool
    """At the end of a stream; other answers always have it."""

    def limit(self, max_tokens: int | None) -> "Request":
        """The same, with this limit where it has none of its own [tokens]."""
        if max_tokens is None or any(order.max_tokens is not None for order in self.orders):
            return self
        orders = tuple(replace(order, max_tokens=max_tokens) for order in self.orders)
        return replace(self, orders=orders)
