"""Orders → tokens: short texts at once, long ones in a thread of their own, so that no answer
waits for them. Knows no caches and no steps.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from mlx_t2.errors import T2Error
from mlx_t2.models import SVFModel

from .order import Refused
from .prompts import encode_prompt
from .ticket import Ticket

_SHORT = 1 << 14
"""Characters that take a few milliseconds."""

Post = Callable[[Callable[[], None]], None]
"""Has something done by the thread that owns the model, between two rounds."""
Begin = Callable[[Ticket, list[int] | Exception], None]


class Encoder:
    """Cuts prompts into tokens, in the order in which they were given.

    One thread at a time has the tokenizer: transformers sets its options before each text, and
    lets other threads run while it is cut.
    """

    def __init__(self, model: SVFModel, post: Post):
        self._model, self._post = model, post
        self._pool = ThreadPoolExecutor(1, "mlx_t2-encoder")
        self.lock = Lock()
        """Held by whichever thread has the tokenizer."""
        self.pending = 0
        """Orders that wait for their tokens."""

    def encode(self, ticket: Ticket, begin: Begin) -> None:
        """Give the tokens of the order's prompt to `begin`, or why there are none: before this
        returns, or from the thread that owns the model later.
        """
        if ticket.order.characters <= _SHORT and not self.pending:
            begin(ticket, self._find(ticket))
            return
        self.pending += 1
        self._pool.submit(self._encode_aside, ticket, begin)

    def close(self) -> None:
        """End its thread, when the text that it has is done."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _encode_aside(self, ticket: Ticket, begin: Begin) -> None:
        found = [] if ticket.is_over else self._find(ticket)
        self._post(lambda: self._hand_over(ticket, begin, found))

    def _hand_over(self, ticket: Ticket, begin: Begin, found: list[int] | Exception) -> None:
        self.pending -= 1
        if not ticket.is_over:
            begin(ticket, found)

    def _find(self, ticket: Ticket) -> list[int] | Exception:
        assert ticket.wanted is not None
        try:
            with self.lock:
                return encode_prompt(self._model, ticket, ticket.wanted)
        except T2Error as error:
            return Refused("template", str(error))
        except Exception as error:  # of a tokenizer: its order fails, and nothing else
            return error
