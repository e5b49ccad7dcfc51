"""Answering over HTTP: many requests in one batch, each under scales of its own.

Two halves that meet in `order`: one thread that owns model, experts, batch and caches and knows
no HTTP, and an application that knows HTTP and no arrays. What the application is made of is
imported when a `Server` is asked for.
"""

from typing import TYPE_CHECKING, Any

from .config import ServingConfig as ServingConfig
from .engine import Engine as Engine
from .listening import open_socket as open_socket
from .order import Backend as Backend
from .order import Event as Event
from .order import Failed as Failed
from .order import FailureKind as FailureKind
from .order import Order as Order
from .order import Piece as Piece
from .order import Refused as Refused
from .order import ServedExpert as ServedExpert
from .order import ServedRoute as ServedRoute
from .order import Started as Started
from .order import Tags as Tags
from .order import TokenScore as TokenScore
from .settings import HTTPConfig as HTTPConfig

if TYPE_CHECKING:
    from .run import Server as Server


def __getattr__(name: str) -> Any:
    if name == "Server":
        from .run import Server

        return Server
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
