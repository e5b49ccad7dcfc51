"""Answering over HTTP: many requests in one batch, each under scales of its own.

Two halves that meet in `order`: one thread that owns model, experts, batch and caches and knows
no HTTP, and an application that knows HTTP and no arrays.
"""

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
from .order import TokenScore as TokenScore
