"""A client inside the process: drives an ASGI application without a port, and decides when it
leaves and how fast it reads.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlx_t2.serving.app import build_app
from mlx_t2.serving.settings import HTTPConfig


@dataclass
class Reply:
    """What has arrived."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"message", "type", "param", "code"}
        return self.json["error"]

    @property
    def frames(self) -> list[str]:
        """The data of a stream's events; comments left out."""
        events = self.body.decode().split("\n\n")
        assert events.pop() == ""
        return [e.removeprefix("data: ") for e in events if not e.startswith(":")]

    @property
    def chunks(self) -> list[Any]:
        """The objects of a stream that ends as it should."""
        *chunks, done = self.frames
        assert done == "[DONE]"
        return [json.loads(chunk) for chunk in chunks]


class Visit:
    """One request, from inside an event loop."""

    def __init__(self, app: Any, method: str, path: str, body: Any = None, **headers: str):
        self._app = app
        raw = body if isinstance(body, bytes) else b"" if body is None else dump(body)
        self.parts: list[dict[str, Any]] = [{"type": "http.request", "body": raw}]
        given = {"host": "127.0.0.1:8080", "content-type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "scheme": "http",
            "client": ("127.0.0.1", 4242),
            "server": ("127.0.0.1", 8080),
            "headers": [(n.encode(), v.encode("latin-1")) for n, v in given.items()],
        }
        self.reply = Reply()
        self.leaving = asyncio.Event()
        self.on_data: Callable[[], Any] = lambda: None
        """Called, and awaited where it is to be, as the client reads."""

    async def go(self) -> Reply:
        await self._app(self._scope, self._receive, self._send)
        return self.reply

    async def _receive(self) -> dict[str, Any]:
        if self.parts:
            return self.parts.pop(0)
        await self.leaving.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.reply.status = message["status"]
            pairs = [(n.decode(), v.decode("latin-1")) for n, v in message["headers"]]
            self.reply.headers = dict(pairs)
            return
        self.reply.body += message.get("body", b"")
        self.reply.is_whole = not message.get("more_body", False)
        waiting = self.on_data()
        if waiting is not None:
            await waiting


def dump(body: Any) -> bytes:
    return json.dumps(body).encode()


def ask(app: Any, method: str, path: str, body: Any = None, **headers: str) -> Reply:
    """One request, whole."""

    async def go() -> Reply:
        return await asyncio.wait_for(Visit(app, method, path, body, **headers).go(), 20)

    return asyncio.run(go())


def build(backend: Any, **config: Any) -> Any:
    """The application for a backend."""
    return build_app(backend, HTTPConfig(**config))


def chat(app: Any, **fields: Any) -> Reply:
    """A chat completion."""
    return ask(app, "POST", "/v1/chat/completions", chat_body(**fields))


def chat_body(**fields: Any) -> dict[str, Any]:
    return {"model": "base", "messages": [{"role": "user", "content": "Hi"}]} | fields


def complete(app: Any, **fields: Any) -> Reply:
    """A text completion."""
    return ask(app, "POST", "/v1/completions", {"model": "base", "prompt": "Say it"} | fields)
