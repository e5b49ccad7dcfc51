"""What is wrong with a request, in the form that clients of OpenAI's API read.

Says which field and what was expected there; never a traceback or the name of a class, and of
what was sent nothing but names. Knows no sockets.
"""

import math
from typing import Any

from mlx_t2.errors import RequestError

from .order import Failed, FailureKind, Refused

_STATUS: dict[FailureKind, tuple[int, str | None]] = {
    "context_length": (400, "context_length_exceeded"),
    "unknown_expert": (404, "model_not_found"),
    "template": (400, None),
    "invalid": (400, None),
    "busy": (429, "busy"),
    "draining": (503, "draining"),
    "memory": (503, "out_of_memory"),
    "slow_reader": (408, "slow_reader"),
    "internal": (500, "internal_error"),
}
_PASSING = {"busy": 1.0, "draining": 5.0, "memory": 5.0}
"""What may have passed when the same is sent again so much later [s]."""
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Fault(RequestError):
    """A request that is answered with an error."""

    def __init__(
        self,
        message: str,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
        retry_after_s: float | None = None,
        ends_connection: bool = False,
    ):
        """param: the field that is at fault, as `messages.0.content`.
        ends_connection: more of the request may be on its way, and nobody will read it.
        """
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s
        self.ends_connection = ends_connection

    def to_json(self) -> dict[str, Any]:
        """`{"error": …}` with every key that the API requires."""
        rest = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {
            "message": self.message,
            "type": _TYPES.get(self.status, rest),
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}

    def headers(self) -> dict[str, str]:
        """Those that go with the answer."""
        found = {}
        if self.retry_after_s is not None:
            found["retry-after"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.status == 401:
            found["www-authenticate"] = "Bearer"
        if self.ends_connection:
            found["connection"] = "close"
        return found


def blame(event: Failed | Refused, param: str) -> Fault:
    """The fault that an order ended with.

    param: the field that holds the prompt.
    """
    status, code = _STATUS[event.kind]
    after = event.retry_after_s if isinstance(event, Refused) else None
    message = event.message if isinstance(event, Failed) else str(event)
    places: dict[FailureKind, str] = {
        "context_length": param,
        "template": param,
        "unknown_expert": "model",
    }
    return Fault(
        message,
        param=places.get(event.kind),
        code=code,
        status=status,
        retry_after_s=after if after is not None else _PASSING.get(event.kind),
    )
