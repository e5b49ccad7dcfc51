"""Answers on their way to a client: whole, or as a stream of server-sent events.

A stream begins when its first prompt has been read, so what is wrong with a request still has
an HTTP status, and the header says the route. Where that takes long, it begins without, and
comments show that the server is there. Knows no endpoints.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .answering import Answering, Drafts
from .fault import Fault, blame
from .order import Backend, Event, Failed, Refused, Started
from .request import Request
from .shapes import Json, count_usage, describe_route
from .sse import DONE, HEADERS, STILL_THERE, write_frame, write_json


class Stalled(Exception):
    """The client is there and does not read."""


class Reply:
    """The answer to one request."""

    def __init__(self, request: Request, stall_s: float, silence_s: float):
        """stall_s: see HTTPConfig, as silence_s."""
        self._request = request
        self._stall_s = stall_s
        self._silence_s = silence_s
        self._drafts = Drafts(request.orders)
        self._choices = [
            request.shape.begin(index, at)
            for at in range(len(request.orders))
            for index in self._drafts.numbers(at)
        ]
        shape = request.shape
        self._head = {
            "id": shape.prefix + secrets.token_hex(12),
            "object": shape.chunk_kind if request.is_streamed else shape.kind,
            "created": int(time.time()),
            "model": request.model,
        }
        self._is_open = False
        self._has_told_route = False

    async def send(self, backend: Backend, scope: Scope, receive: Receive, send: Send) -> None:
        """All of it.

        Raises: Fault, before anything is sent; ClientGone; Stalled.
        """
        try:
            async with Answering(backend, self._request.orders, receive) as answering:
                if self._request.is_streamed:
                    await self._stream(answering, send)
                else:
                    response = await self._collect(answering)
                    await self._within(response(scope, receive, send))
        except Refused as error:
            raise blame(error, self._request.param) from None

    def _take(self, at: int, event: Event) -> list[Json]:
        """The choices of the chunks that say what has happened.

        Raises: Fault for the end of an order without an answer.
        """
        if isinstance(event, Failed):
            raise blame(event, self._request.param)
        self._drafts.add(at, event)
        if isinstance(event, Started):
            numbers = self._drafts.numbers(at)
            found = [self._choices[index].read(event) for index in numbers]
            return [one for one in found if one is not None]
        choice = self._choices[self._drafts.numbers(at)[event.row]]
        is_last = event.finish_reason is not None
        chunk = choice.add(event.text, event.scores, is_last)
        ends = [choice.end(event.finish_reason)] if event.finish_reason is not None else []
        return [*([] if chunk is None else [chunk]), *ends]

    # -- whole ---------------------------------------------------------------------------

    async def _collect(self, answering: Answering) -> Response:
        while not self._drafts.is_whole:
            for at, event in await answering.wait():
                self._take(at, event)
        choices = [
            choice.whole(draft.text, draft.scores, draft.finish_reason or "stop")
            for choice, draft in zip(self._choices, self._drafts.choices, strict=True)
        ]
        began = self._drafts.beginnings()
        body = {
            **self._head,
            "choices": self._with_routes(choices),
            "usage": count_usage(began, self._drafts.tokens),
            **self._route(),
        }
        headers = {"content-type": "application/json", **self._route_header()}
        return Response(write_json(body), 200, headers)

    def _with_routes(self, choices: Sequence[Json]) -> list[Json]:
        """Each with the route of its prompt, where there are several."""
        began = self._drafts.beginnings()
        if len(self._request.orders) == 1:
            return list(choices)
        return [
            choices[index] | {"route": describe_route(began[at].route)}
            for at in range(len(began))
            for index in self._drafts.numbers(at)
        ]

    def _route(self) -> Json:
        """The route as a key of the answer, where all of it has one, and that is known."""
        began = self._drafts.beginnings()
        if len(self._request.orders) > 1 or not began:
            return {}
        return {"route": describe_route(began[0].route)}

    def _route_header(self) -> dict[str, str]:
        found = self._route()
        text = json.dumps(found.get("route"), separators=(",", ":"))
        return {"x-t2-route": text} if found else {}

    # -- stream --------------------------------------------------------------------------

    async def _stream(self, answering: Answering, send: Send) -> None:
        try:
            await self._stream_events(answering, send)
        except Fault as fault:
            if not self._is_open:
                raise
            await self._write(send, write_frame(fault.to_json()) + DONE, is_last=True)

    async def _stream_events(self, answering: Answering, send: Send) -> None:
        while not self._drafts.is_whole:
            try:
                events = await answering.wait(self._silence_s)
            except TimeoutError:
                await self._open(send)
                await self._write(send, STILL_THERE)
                continue
            chunks: list[Json] = []
            try:
                for at, event in events:
                    chunks += self._take(at, event)
            except Fault:
                if self._is_open:
                    await self._write(send, self._frame_all(chunks))
                raise
            await self._open(send)
            await self._write(send, self._frame_all(chunks))
        usage = count_usage(self._drafts.beginnings(), self._drafts.tokens)
        last = {**self._head, "choices": [], "usage": usage}
        end = write_frame(last) if self._request.has_usage else b""
        await self._write(send, end + DONE, is_last=True)

    async def _open(self, send: Send) -> None:
        """Begin the stream, unless it has begun: status, headers and the openings."""
        if self._is_open:
            return
        self._is_open = True
        headers = {**HEADERS, **self._route_header()}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        start = {"type": "http.response.start", "status": 200, "headers": encoded}
        await self._within(send(start))
        openings = [choice.open() for choice in self._choices]
        await self._write(send, self._frame_all([one for one in openings if one is not None]))

    def _frame_all(self, choices: Sequence[Json]) -> bytes:
        return b"".join(write_frame(self._chunk(choice)) for choice in choices)

    def _chunk(self, choice: Json) -> Json:
        """One chunk. The first one once it is known has the route."""
        usage = {"usage": None} if self._request.has_usage else {}
        route = {} if self._has_told_route else self._route()
        self._has_told_route = self._has_told_route or bool(route)
        return {**self._head, "choices": [choice], **usage, **route}

    async def _write(self, send: Send, data: bytes, is_last: bool = False) -> None:
        if data or is_last:
            body = {"type": "http.response.body", "body": data, "more_body": not is_last}
            await self._within(send(body))

    async def _within(self, sending: Awaitable[None]) -> None:
        """Wait for what is sent to be taken.

        Raises: Stalled where the client reads nothing.
        """
        try:
            async with asyncio.timeout(self._stall_s):
                await sending
        except TimeoutError:
            raise Stalled from None
