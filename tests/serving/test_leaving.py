"""Clients that leave, or do not read: their orders are given up."""

import asyncio
import time

import pytest
from serving.driver import Visit, ask, build, chat_body
from serving.fake_backend import FakeBackend

PATH = "/v1/chat/completions"


def count(app, name: str) -> str | None:
    lines = ask(app, "GET", "/metrics").body.decode().splitlines()
    return next((line.split()[1] for line in lines if line.startswith(f"{name} ")), None)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_client_that_leaves_gives_its_order_up_at_once(is_streamed):
    backend = FakeBackend(words=["x"] * 1000, pace_s=0.01)
    app = build(backend)

    async def go():
        visit = Visit(app, "POST", PATH, chat_body(stream=is_streamed, n=2))
        asyncio.get_running_loop().call_later(0.1, visit.leaving.set)
        began = time.monotonic()
        await asyncio.wait_for(visit.go(), 5)
        return visit.reply, time.monotonic() - began

    reply, seconds = asyncio.run(go())
    assert seconds < 1
    assert set(backend.aborted) == {1}
    backend.threads[0].join(1)
    assert backend.ended == []
    assert not reply.is_whole
    assert count(app, "mlx_t2_http_disconnects_total") == "1"
    assert count(app, "mlx_t2_http_in_flight") == "1"  # the one that asks


def test_a_client_that_leaves_while_its_prompt_is_read_gives_its_order_up():
    backend = FakeBackend(pace_s=0.01, prefill_s=0.5)
    app = build(backend)

    async def go():
        visit = Visit(app, "POST", PATH, chat_body(stream=True))
        asyncio.get_running_loop().call_later(0.05, visit.leaving.set)
        return await asyncio.wait_for(visit.go(), 0.4)

    assert asyncio.run(go()).status == 0
    assert set(backend.aborted) == {1}


def test_a_client_that_leaves_while_it_does_not_read_is_not_waited_for():
    backend = FakeBackend(words=["x"] * 1000, pace_s=0.01)
    app = build(backend)

    async def go():
        visit = Visit(app, "POST", PATH, chat_body(stream=True))
        never = asyncio.Event()
        visit.on_data = lambda: never.wait() if len(visit.reply.body) > 2000 else None
        task = asyncio.create_task(visit.go())
        while len(visit.reply.body) <= 2000:
            await asyncio.sleep(0.01)
        visit.leaving.set()
        await asyncio.sleep(0.05)
        aborted = list(backend.aborted)
        task.cancel()
        await asyncio.wait([task])
        return aborted

    assert asyncio.run(go()) == [1]


def test_an_order_is_given_up_when_its_task_is_ended():
    backend = FakeBackend(words=["x"] * 1000, pace_s=0.01)
    app = build(backend)

    async def go():
        task = asyncio.create_task(Visit(app, "POST", PATH, chat_body(stream=True)).go())
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(go())
    assert set(backend.aborted) == {1}


def test_a_client_that_does_not_read_is_dropped():
    backend = FakeBackend(words=["x"] * 1000, pace_s=0.002)
    hung_up = []
    from mlx_t2.serving.app import build_app
    from mlx_t2.serving.settings import HTTPConfig

    app = build_app(backend, HTTPConfig(stall_s=0.1), hung_up.append)

    async def go():
        visit = Visit(app, "POST", PATH, chat_body(stream=True))
        never = asyncio.Event()
        visit.on_data = lambda: never.wait() if len(visit.reply.body) > 2000 else None
        return await asyncio.wait_for(visit.go(), 5)

    reply = asyncio.run(go())
    assert not reply.is_whole
    assert set(backend.aborted) == {1}
    assert [scope["path"] for scope in hung_up] == [PATH]
    assert count(app, "mlx_t2_http_slow_readers_total") == "1"


def test_a_stream_that_waits_long_opens_and_is_kept_open():
    backend = FakeBackend(pace_s=0.01, prefill_s=0.3)
    app = build(backend, silence_s=0.1)

    async def go():
        visit = Visit(app, "POST", PATH, chat_body(stream=True, model="base:auto"))
        return await asyncio.wait_for(visit.go(), 5)

    reply = asyncio.run(go())
    assert reply.body.startswith(b'data: {"id":"chatcmpl-')  # the role, before any comment
    assert b"\n\n: still there\n\n" in reply.body
    assert "x-t2-route" not in reply.headers
    routes = [chunk.get("route", {}).get("label") for chunk in reply.chunks]
    assert routes == [None, "math", None, None]


def test_what_fails_in_a_stream_that_waited_is_a_frame():
    backend = FakeBackend(pace_s=0.01, prefill_s=0.2, fails="memory")
    app = build(backend, silence_s=0.05)

    async def go():
        return await Visit(app, "POST", PATH, chat_body(stream=True)).go()

    reply = asyncio.run(go())
    assert reply.status == 200
    assert reply.chunks[-1]["error"]["code"] == "out_of_memory"
    assert reply.is_whole


def test_the_liveness_probe_waits_for_nobody():
    backend = FakeBackend(words=["x"] * 200, pace_s=0.002)
    app = build(backend)

    async def go():
        streams = [
            asyncio.create_task(Visit(app, "POST", PATH, chat_body(stream=True)).go())
            for _ in range(8)
        ]
        waits = []
        for _ in range(20):
            await asyncio.sleep(0.01)
            began = time.monotonic()
            assert (await Visit(app, "GET", "/health").go()).status == 200
            waits.append(time.monotonic() - began)
        for stream in streams:
            stream.cancel()
        await asyncio.wait(streams)
        return sorted(waits)

    assert asyncio.run(go())[10] < 0.05
