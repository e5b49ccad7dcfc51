"""The application: endpoints, and around them one place where each request is counted, logged
and, whatever happens, answered.

Logs say method, endpoint, status and time; never what was asked or answered.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlx_t2.errors import T2Error

from .answering import ClientGone
from .body import read_body
from .chat import read_chat
from .completions import read_completion
from .fault import Fault
from .fields import Field, read_fields
from .limits import Guard, answer_fault
from .metrics import Metrics
from .names import Names, describe_expert
from .order import Backend
from .replies import Reply, Stalled
from .request import Request, Wear
from .settings import HTTPConfig
from .sse import write_json

HangUp = Callable[[Scope], None]
"""Ends the connection of a request at once, whatever is still to be sent on it."""
_FAILED = Fault("the server failed, and goes on", code="internal_error", status=500)
_LOG = logging.getLogger("mlx_t2.serving")
_GONE = 499
"""In logs and counts: the client left before there was a status."""
_ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/models",
    "/v1/experts",
    "/health",
    "/ready",
    "/metrics",
)
_NEW_EXPERT = (
    Field(name="name", kind="string", least=1, most=64, is_required=True, is_nullable=False),
    Field(name="place", kind="string", least=1, most=4096, is_required=True, is_nullable=False),
)


def build_app(
    backend: Backend, config: HTTPConfig, hang_up: HangUp = lambda scope: None
) -> ASGIApp:
    """The application that answers for a backend.

    Raises: ConfigError for aliases that stand for nothing.
    """
    metrics = Metrics()
    names = Names(backend, config.aliases)
    probes, models = _Probes(backend, metrics), _Models(backend, names, config.is_admin)

    def answer(read: Callable[[Any, Wear], Request]) -> ASGIApp:
        return _Answers(backend, config, names, metrics, hang_up, read)

    chat = partial(
        read_chat, splits_thoughts=config.splits_thoughts, may_think=backend.may_think
    )
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", answer(chat), methods=["POST"]),
            Route("/v1/completions", answer(read_completion), methods=["POST"]),
            Route("/v1/models", models.list_all),
            Route("/v1/models/{model:path}", models.show),
            Route("/v1/experts", models.add, methods=["POST"]),
            Route("/v1/experts/{name:path}", models.remove, methods=["DELETE"]),
            Route("/health", probes.tell_alive),
            Route("/ready", probes.tell_ready),
            Route("/metrics", probes.tell_metrics),
        ],
        exception_handlers={
            Fault: _answer_fault,
            T2Error: _answer_error,
            HTTPException: _answer_http,
            Exception: _answer_internal,
        },
    )
    app.router.redirect_slashes = False
    return _Outermost(Guard(app, config), metrics, hang_up)


async def _answer_fault(_: HTTPRequest, fault: Any) -> Response:
    return answer_fault(fault)


async def _answer_error(_: HTTPRequest, error: Any) -> Response:
    return answer_fault(Fault(str(error), code="invalid_value"))


async def _answer_http(request: HTTPRequest, error: Any) -> Response:
    known = {404: "no such endpoint", 405: "the endpoint takes another method"}
    reason = known.get(error.status_code, "not answered")
    response = answer_fault(
        Fault(f"{reason}, expected one of OpenAI's API", status=error.status_code)
    )
    response.headers.update(error.headers or {})
    return response


async def _answer_internal(_: HTTPRequest, error: Any) -> Response:
    return answer_fault(_FAILED)


class _Answers:
    """An endpoint for prompts."""

    def __init__(
        self,
        backend: Backend,
        config: HTTPConfig,
        names: Names,
        metrics: Metrics,
        hang_up: HangUp,
        read: Callable[[Any, Wear], Request],
    ):
        self._backend = backend
        self._config = config
        self._names = names
        self._metrics = metrics
        self._hang_up = hang_up
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = read_body((await receive())["body"])
        request = self._read(body, self._names.wear).limit(self._config.max_tokens)
        reply = Reply(request, self._config.stall_s, self._config.silence_s)
        try:
            await reply.send(self._backend, scope, receive, send)
        except ClientGone:
            self._metrics.count("disconnects_total")
        except Stalled:
            self._metrics.count("slow_readers_total")
            self._hang_up(scope)


class _Models:
    """Endpoints about names; the model's half is asked for no answer."""

    def __init__(self, backend: Backend, names: Names, is_admin: bool):
        self._backend = backend
        self._names = names
        self._is_admin = is_admin

    async def list_all(self, request: HTTPRequest) -> Response:
        return _as_json({"object": "list", "data": self._names.describe_all()})

    async def show(self, request: HTTPRequest) -> Response:
        return _as_json(self._names.describe(request.path_params["model"]))

    async def add(self, request: HTTPRequest) -> Response:
        self._check_admin()
        values = read_fields(read_body(await request.body()), _NEW_EXPERT)
        found = await self._change(values["name"], values["place"])
        return _as_json({"id": f"base:{values['name']}", "object": "model", **found})

    async def remove(self, request: HTTPRequest) -> Response:
        self._check_admin()
        name = request.path_params["name"]
        self._names.describe(f"base:{name}")
        await self._change(name, None)
        return _as_json({"id": f"base:{name}", "object": "model", "deleted": True})

    async def _change(self, name: str, place: str | None) -> dict[str, Any]:
        """In a thread: it waits for the step that is being taken, and reads a file."""
        expert = await asyncio.to_thread(self._backend.change_experts, name, place)
        if expert is None:
            return {}
        return {"created": expert.created, "owned_by": "mlx_t2", **describe_expert(expert)}

    def _check_admin(self) -> None:
        if not self._is_admin:
            raise Fault(
                "experts: not changed over HTTP, expected a server started with --admin",
                code="admin_off",
                status=403,
            )


class _Probes:
    """Endpoints for whoever watches the server."""

    def __init__(self, backend: Backend, metrics: Metrics):
        self._backend = backend
        self._metrics = metrics

    async def tell_alive(self, request: HTTPRequest) -> Response:
        return _as_json({"status": "ok"})

    async def tell_ready(self, request: HTTPRequest) -> Response:
        if self._backend.is_draining:
            raise Fault("the server is about to end", code="draining", status=503)
        if not self._backend.is_ready:
            raise Fault("the model is not ready", code="not_ready", status=503)
        return _as_json({"status": "ready", "model": self._backend.model_id})

    async def tell_metrics(self, request: HTTPRequest) -> Response:
        is_ready = self._backend.is_ready and not self._backend.is_draining
        text = self._metrics.write(self._backend.counters(), is_ready)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _as_json(value: Any) -> Response:
    return Response(write_json(value), media_type="application/json")


class _Outermost:
    """Counts and logs every request, and answers those that fail for a reason of ours."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hang_up: HangUp):
        self._app = app
        self._metrics = metrics
        self._hang_up = hang_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        status = 0

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = self._metrics.begin()
        try:
            await self._app(scope, receive, note_status)
        except Exception as error:
            _log_failure(error)
            if not status:
                await answer_fault(_FAILED)(scope, receive, note_status)
            elif status < 500:
                self._hang_up(scope)
        finally:
            endpoint = name_endpoint(scope["path"])
            seconds = self._metrics.end(endpoint, status or _GONE, began)
            _LOG.info(
                "%s %s %d %.3f s", scope["method"][:10], endpoint, status or _GONE, seconds
            )


def name_endpoint(path: str) -> str:
    """Which endpoint a path leads to, among a fixed few.

    >>> name_endpoint("/v1/models/base:math"), name_endpoint("/etc/passwd")
    ('/v1/models/…', 'other')
    """
    if path in _ENDPOINTS:
        return path
    names = [one for one in ("/v1/models", "/v1/experts") if path.startswith(f"{one}/")]
    return f"{names[0]}/…" if names else "other"


def _log_failure(error: Exception) -> None:
    """Where it happened, without the message and the lines: those may quote a prompt."""
    frames = traceback.extract_tb(error.__traceback__)
    where = "".join(f"\n  {one.filename}:{one.lineno} {one.name}" for one in frames)
    _LOG.error("%s at%s", type(error).__name__, where)
