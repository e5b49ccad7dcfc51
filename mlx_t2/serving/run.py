"""The application on a socket, from the first request to the last answer.

uvicorn runs in a thread of its own: signals are then ours. Told to end, the server takes no
more orders and says so, finishes those that it has for a while, and then goes.
"""

import logging
import socket
import threading
import time
from typing import Any

import uvicorn
from starlette.types import Scope

from mlx_t2.errors import ConfigError

from .app import build_app
from .listening import name_reason
from .order import Backend
from .settings import HTTPConfig

_LAST_WORDS_S = 2.0
"""For what has been answered to reach the clients [s]."""


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
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
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
