"""What stands in front of every endpoint, as plain ASGI: who asks, by which name, and how much.

Nothing is parsed, and the model's half is not asked, before a request has passed. Plain ASGI,
because a layer that reads the body for those behind it (Starlette's BaseHTTPMiddleware) also
keeps from them that a client has left. Knows no endpoints.
"""

import asyncio
import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .fault import Fault
from .settings import HTTPConfig
from .sse import write_json

_OPEN = ("/health", "/ready")
"""Answered without a key: they tell nothing but that."""


class Guard:
    """Lets through what is within the limits."""

    def __init__(self, app: ASGIApp, config: HTTPConfig):
        self._app = app
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have it answered."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            headers = Headers(scope=scope)
            self._check_host(headers)
            self._check_key(scope["path"], headers)
            if scope["method"] in ("POST", "PUT", "PATCH"):
                receive = await self._read_body(headers, receive)
        except Fault as fault:
            return await answer_fault(fault)(scope, receive, send)
        await self._app(scope, receive, send)

    def _check_host(self, headers: Mapping[str, str]) -> None:
        hosts = self._config.hosts
        if hosts is not None and name_host(headers.get("host", "")) not in hosts:
            raise Fault(
                "host: not a name of this server, expected 127.0.0.1, localhost or the one "
                "that it was started with (--host)",
                code="host_not_allowed",
                status=403,
            )

    def _check_key(self, path: str, headers: Mapping[str, str]) -> None:
        if (key := self._config.api_key) is None or path in _OPEN:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        fits = hmac.compare_digest(given.strip().encode("latin-1"), key.encode())
        if scheme.lower() != "bearer" or not fits:
            raise Fault(
                "authorization: not the key of this server, expected `Bearer KEY`",
                code="invalid_api_key",
                status=401,
            )

    async def _read_body(self, headers: Mapping[str, str], receive: Receive) -> Receive:
        """The whole body, as if it had come in one piece, in front of what comes after it."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # a page of a stranger may send any other kind without being asked (CORS)
            raise Fault("content-type: expected application/json", status=415)
        length = headers.get("content-length", "")
        self._check_size(int(length[:19]) if length.isdecimal() else 0)
        body, is_whole = bytearray(), False
        try:
            async with asyncio.timeout(self._config.body_s):
                while not is_whole:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Fault("body: ended early, expected all of it")
                    body += message.get("body", b"")
                    self._check_size(len(body))
                    is_whole = not message.get("more_body", False)
        except TimeoutError:
            raise Fault(
                f"body: not whole after {self._config.body_s:g} s, expected all of it",
                code="request_timeout",
                status=408,
                ends_connection=True,
            ) from None
        return _replay(bytes(body), receive)

    def _check_size(self, size: int) -> None:
        if size > (most := self._config.most_body_bytes):
            raise Fault(
                f"body: too long, expected {most} bytes at most",
                code="body_too_long",
                status=413,
                ends_connection=True,
            )


def name_host(header: str) -> str:
    """The name in a Host header, without its port.

    >>> name_host("LocalHost:8080"), name_host("[::1]:8080"), name_host("::1")
    ('localhost', '::1', '')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    name, _, port = header.partition(":")
    return name.lower() if ":" not in port else ""


def answer_fault(fault: Fault) -> Response:
    """A response with the error in the API's form."""
    return Response(
        write_json(fault.to_json()),
        fault.status,
        {"content-type": "application/json", **fault.headers()},
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_next() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_next
