"""The application on a socket, from the first request to the last answer.

uvicorn runs in a thread of its own: signals are then ours. Told to end, the server takes no
more orders and says so, finishes those that it has for a while, and then goes.
"""

import asyncio
import logging
import socket
import threading
import time
from functools import partial
from typing import Any

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from mlx_t2.errors import ConfigError

from .app import build_app
from .listening import name_reason
from .order import Backend
from .settings import HTTPConfig

_LAST_WORDS_S = 2.0
"""For what has been answered to reach the clients [s]."""


class _Connection(asyncio.Protocol):
    """uvicorn's protocol, with a limit on the time that it waits for a client while it answers
    nothing: for a request's head, or for the rest of a body that nobody reads.
    """

    def __init__(self, within_s: float, **given: Any):
        """within_s: from the connection's beginning, or the first byte after an answer [s].
        given: what uvicorn gives its own protocol.
        """
        self._within_s = within_s
        self._inner = H11Protocol(**given)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first head."""
        self._inner.connection_made(transport)
        self._limit()

    def data_received(self, data: bytes) -> None:
        """Take more of a request."""
        self._inner.data_received(data)
        self._limit()

    def eof_received(self) -> None:
        """The client sends no more."""
        self._inner.eof_received()

    def pause_writing(self) -> None:
        """The client reads too little."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The client has read."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any longer."""
        self._stop_timer()
        self._inner.connection_lost(exc)

    @property
    def _is_answering(self) -> bool:
        cycle: Any = self._inner.cycle  # None before the first head
        return cycle is not None and not cycle.response_complete

    def _limit(self) -> None:
        if self._is_answering:
            self._stop_timer()
        elif self._timer is None:
            self._timer = self._inner.loop.call_later(self._within_s, self._end)

    def _end(self) -> None:
        """End the connection; an answer that is still being sent has as much time again."""
        self._timer = None
        if self._is_answering:
            return
        self._inner.transport.close()
        self._timer = self._inner.loop.call_later(self._within_s, self._inner.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server:
    """A backend that is answered for on a socket."""

    def __init__(self, backend: Backend, config: HTTPConfig, listening: socket.socket):
        """Raises: ConfigError for aliases that stand for nothing."""
        self._backend = backend
        self._config = config
        self._socket = listening
        host, port, *_ = listening.getsockname()
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
        """Where clients find it."""
        app = build_app(backend, config, self._hang_up)
        protocol: Any = partial(_Connection, config.body_s)
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=int(_LAST_WORDS_S),
            )
        )
        self._thread = threading.Thread(target=self._listen, name="http", daemon=True)
        self._failure: Exception | None = None

    @property
    def is_running(self) -> bool:
        """Whether clients are answered."""
        return self._thread.is_alive()

    def _listen(self) -> None:
        try:
            self._uvicorn.run(sockets=[self._socket])
        except Exception as error:
            self._failure = error

    def _hang_up(self, scope: Scope) -> None:
        """End a connection without waiting for what is still to be sent on it."""
        for connection in list(self._uvicorn.server_state.connections):
            held: Any = connection
            if held.client == scope["client"]:
                held.transport.abort()

    def start(self) -> None:
        """Answer from now on; returns when it does.

        Raises: ConfigError where another program listens there by now.
        """
        logging.getLogger("uvicorn").setLevel(
            logging.CRITICAL
        )  # tracebacks with what was asked
        try:
            self._socket.listen()
        except OSError as error:
            raise ConfigError(
                f"{self.url}: {name_reason(error)}, expected a free port"
            ) from None
        self._thread.start()
        while not self._uvicorn.started and self._thread.is_alive():
            time.sleep(0.005)
        if self._failure is not None:
            raise self._failure

    def stop(self, within_s: float | None = None) -> None:
        """Finish what has been taken, for at most so long, and end.

        within_s: in place of the settings' time [s].
        """
        self._backend.drain()
        self._backend.stop(self._config.drain_s if within_s is None else within_s)
        self._uvicorn.should_exit = True
        self._thread.join(_LAST_WORDS_S + 3)
