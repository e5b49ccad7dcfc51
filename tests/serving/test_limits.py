"""Who is let in, and with how much."""

import asyncio
import json

import pytest
from serving.driver import Visit, ask, build, chat, chat_body, dump
from serving.fake_backend import FakeBackend

from mlx_t2.errors import ConfigError
from mlx_t2.serving.settings import HTTPConfig

PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8080", 200),
        ("localhost:1", 200),
        ("LOCALHOST", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("127.0.0.1@evil.example", 403),
        ("", 403),
        ("::1", 403),
    ],
)
def test_a_stranger_who_names_this_address_as_his_own_is_refused(host, status):
    app = build(FakeBackend())
    assert ask(app, "GET", "/v1/models", host=host).status == status
    assert ask(app, "POST", PATH, chat_body(), host=host).status == status


def test_the_name_that_it_was_started_with_is_a_name_of_it():
    app = build(FakeBackend(), host="mac.local", api_key="k")
    assert ask(app, "GET", "/health", host="mac.local:8080").status == 200
    assert ask(app, "GET", "/health", host="other.local").status == 403


def test_on_every_address_any_name_will_do_because_a_key_is_needed():
    app = build(FakeBackend(), host="0.0.0.0", api_key="k")
    assert ask(app, "GET", "/v1/models", host="a.b", authorization="Bearer k").status == 200
    assert ask(app, "GET", "/v1/models", host="a.b").status == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.7", "mac.local"])
def test_beyond_this_machine_a_key_is_needed(host):
    with pytest.raises(ConfigError, match="api key"):
        HTTPConfig(host=host)
    HTTPConfig(host=host, api_key="k")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer sesame", 200),
        ("bearer sesame", 200),
        ("Bearer sesam", 401),
        ("Bearer sesame2", 401),
        ("Bearer", 401),
        ("sesame", 401),
        ("Basic sesame", 401),
        ("Bearer s\xe9same", 401),
        ("", 401),
    ],
)
def test_a_key_is_asked_for_on_every_endpoint_but_the_probes(authorization, status):
    backend = FakeBackend()
    app = build(backend, api_key="sesame")
    given = {"authorization": authorization} if authorization else {}
    for method, path, body in [
        ("POST", PATH, chat_body()),
        ("GET", "/v1/models", None),
        ("GET", "/metrics", None),
    ]:
        reply = ask(app, method, path, body, **given)
        assert reply.status == status
        if status == 401:
            assert reply.headers["www-authenticate"] == "Bearer"
            assert reply.error["type"] == "authentication_error"
            assert "sesam" not in reply.error["message"]
    assert ask(app, "GET", "/nowhere").status == 401
    assert ask(app, "GET", "/health").status == 200
    assert ask(app, "GET", "/ready").status == 200


def test_a_key_of_any_alphabet_is_compared():
    app = build(FakeBackend(), api_key="schlüssel")
    sent = "schlüssel".encode().decode("latin-1")
    assert ask(app, "GET", "/v1/models", authorization=f"Bearer {sent}").status == 200


def test_a_key_is_not_shown_with_the_settings():
    assert "sesame" not in repr(HTTPConfig(api_key="sesame"))
    with pytest.raises(ConfigError, match="api key"):
        HTTPConfig(api_key=" ")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "json"]
)
def test_what_a_page_may_send_without_being_asked_is_refused(kind):
    backend = FakeBackend()
    reply = ask(build(backend), "POST", PATH, chat_body(), content_type=kind)
    assert reply.status == 415
    assert backend.orders == []
    assert not any(name.startswith("access-control") for name in reply.headers)


def test_a_kind_with_its_encoding_is_json_too():
    kind = "Application/JSON; charset=utf-8"
    assert ask(build(FakeBackend()), "POST", PATH, chat_body(), content_type=kind).status == 200


@pytest.mark.parametrize("length", [str(2**33), "9" * 6000])
def test_a_body_that_says_that_it_is_too_long_is_not_read(length):
    app = build(FakeBackend())

    async def go():
        visit = Visit(app, "POST", PATH, b"", content_length=length)
        visit.parts.clear()
        return await asyncio.wait_for(visit.go(), 5)

    reply = asyncio.run(go())
    assert (reply.status, reply.error["code"]) == (413, "body_too_long")
    assert reply.headers["connection"] == "close"


def test_a_body_that_becomes_too_long_is_not_read_to_its_end():
    app = build(FakeBackend(), most_body_bytes=1000)

    async def go():
        visit = Visit(app, "POST", PATH, b"")
        part = {"type": "http.request", "body": b" " * 400, "more_body": True}
        visit.parts = [dict(part) for _ in range(50)]
        reply = await asyncio.wait_for(visit.go(), 5)
        return reply, len(visit.parts)

    reply, left = asyncio.run(go())
    assert reply.status == 413
    assert left == 47


def test_a_body_of_the_longest_size_is_read():
    body = dump(chat_body())
    assert (
        ask(build(FakeBackend(), most_body_bytes=len(body)), "POST", PATH, body).status == 200
    )
    app = build(FakeBackend(), most_body_bytes=len(body) - 1)
    assert ask(app, "POST", PATH, body).status == 413
    assert chat(build(FakeBackend())).status == 200


@pytest.mark.parametrize("length", ["-1", "abc", "1e9", "٣", ""])
def test_a_length_that_is_none_is_passed_over(length):
    app = build(FakeBackend())
    header = length.encode().decode("latin-1")
    assert ask(app, "POST", PATH, chat_body(), content_length=header).status == 200


def test_a_body_that_is_withheld_is_not_waited_for():
    app = build(FakeBackend(), body_s=0.05)

    async def go():
        visit = Visit(app, "POST", PATH, b"")
        visit.parts = [{"type": "http.request", "body": b'{"mo', "more_body": True}]
        return await asyncio.wait_for(visit.go(), 5)

    reply = asyncio.run(go())
    assert (reply.status, reply.error["code"]) == (408, "request_timeout")
    assert reply.headers["connection"] == "close"


def test_a_body_in_many_parts_is_one_body():
    app = build(FakeBackend())
    body = dump(chat_body())

    async def go():
        visit = Visit(app, "POST", PATH, b"")
        visit.parts = [
            {"type": "http.request", "body": body[at : at + 1], "more_body": at + 1 < len(body)}
            for at in range(len(body))
        ]
        return await asyncio.wait_for(visit.go(), 5)

    assert asyncio.run(go()).status == 200


def test_a_client_that_leaves_within_its_body_ends_there():
    app = build(FakeBackend())

    async def go():
        visit = Visit(app, "POST", PATH, b"")
        visit.parts = [{"type": "http.request", "body": b"{", "more_body": True}]
        visit.leaving.set()
        return await asyncio.wait_for(visit.go(), 5)

    assert asyncio.run(go()).status == 400


def test_nothing_is_fetched_that_a_request_names(monkeypatch):
    import socket

    monkeypatch.setattr(socket, "create_connection", None)
    part = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}
    message = {"role": "user", "content": [part]}
    assert chat(build(FakeBackend()), messages=[message]).status == 400


def test_an_odd_path_is_counted_among_the_others():
    app = build(FakeBackend())
    for at in range(50):
        ask(app, "GET", f"/{at}")
    lines = ask(app, "GET", "/metrics").body.decode().splitlines()
    assert 'mlx_t2_http_requests_total{endpoint="other",status="404"} 50' in lines
    assert not json.dumps(lines).count("/49")
