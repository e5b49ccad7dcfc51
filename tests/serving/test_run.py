"""The server on a real port of this machine: connections, clients that leave, and its end."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx2
import pytest
from serving.driver import chat_body, dump
from serving.fake_backend import FakeBackend

from mlx_t2.errors import ConfigError
from mlx_t2.serving import HTTPConfig, Server, open_socket


@contextmanager
def running(backend: FakeBackend, **config) -> Iterator[Server]:
    settings = HTTPConfig(port=0, **config)
    with open_socket(settings) as listening:
        server = Server(backend, settings, listening)
        server.start()
        try:
            yield server
        finally:
            server.stop(0)


def wait_until(is_so: Callable[[], bool], within_s: float = 5) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def port_of(server: Server) -> int:
    return int(server.url.rsplit(":", 1)[1].split("/")[0])


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(server)), timeout=5)


def write_request(body: bytes, kind: str = "application/json") -> bytes:
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def read_response(connection: socket.socket) -> bytes:
    """One response of known length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, rest = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(rest) < length:
        rest += connection.recv(65536)
    return data[: len(head) + 4] + rest


def read_to_the_end(connection: socket.socket) -> bytes:
    """The last 14 bytes before the connection ended, in whichever way."""
    tail = b""
    with suppress(ConnectionResetError):
        while data := connection.recv(2**20):
            tail = (tail + data)[-14:]
    return tail


def test_a_client_is_answered_and_its_connection_kept():
    with running(FakeBackend()) as server, httpx2.Client(base_url=server.url) as client:
        for _ in range(3):
            reply = client.post("/chat/completions", json=chat_body())
            assert reply.json()["choices"][0]["message"]["content"] == "Good day"
        assert client.get("/models/base:math").status_code == 200
        assert "server" not in reply.headers
        with client.stream("POST", "/chat/completions", json=chat_body(stream=True)) as stream:
            lines = [line for line in stream.iter_lines() if line]
        assert lines[-1] == "data: [DONE]"


def test_a_body_that_nobody_read_is_not_the_next_request():
    with running(FakeBackend()) as server, connect(server) as connection:
        inner = write_request(b"{}")
        connection.sendall(write_request(inner, "text/plain"))
        assert read_response(connection).startswith(b"HTTP/1.1 415")
        connection.sendall(write_request(dump(chat_body())))
        assert read_response(connection).startswith(b"HTTP/1.1 200")


def test_what_is_no_request_ends_its_connection_alone():
    with running(FakeBackend()) as server:
        for noise in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"x" * 100_000):
            with connect(server) as connection:
                connection.sendall(noise)
                assert connection.recv(100)[:10] in (b"HTTP/1.1 4", b"")
        with connect(server) as connection:
            connection.sendall(write_request(dump(chat_body())))
            assert read_response(connection).startswith(b"HTTP/1.1 200")


def test_a_withheld_body_gets_its_answer_and_the_end_of_the_connection():
    with running(FakeBackend(), body_s=0.1) as server, connect(server) as connection:
        connection.sendall(write_request(b"x" * 100)[:-50])
        assert read_response(connection).startswith(b"HTTP/1.1 408")
        assert connection.recv(100) == b""


HEAD = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize("beginning", [b"", b"G", HEAD])
def test_a_head_that_is_withheld_ends_its_connection(beginning):
    with running(FakeBackend(), body_s=0.2) as server, connect(server) as connection:
        connection.sendall(beginning)
        assert connection.recv(100) == b""


@pytest.mark.parametrize("beginning", [HEAD, write_request(b"x" * 100, "text/plain")[:-100]])
def test_nor_is_it_kept_by_a_byte_now_and_then(beginning):
    with running(FakeBackend(), body_s=0.4) as server, connect(server) as connection:
        connection.sendall(write_request(dump(chat_body())))
        assert read_response(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(beginning)
        held, ends = server._uvicorn.server_state.connections, time.monotonic() + 3
        while held and time.monotonic() < ends:
            with suppress(OSError):
                connection.sendall(b"x")
            time.sleep(0.05)
        assert not held


def test_an_answer_may_take_longer_than_a_head():
    backend = FakeBackend(words=["x"] * 10, pace_s=0.05)
    with running(backend, body_s=0.1) as server, connect(server) as connection:
        for _ in range(2):
            connection.sendall(write_request(dump(chat_body())))
            assert read_response(connection).startswith(b"HTTP/1.1 200")


def test_a_head_in_parts_is_one_head():
    with running(FakeBackend(), body_s=2) as server, connect(server) as connection:
        for part in (HEAD[:3], HEAD[3:], b"\r\n"):
            connection.sendall(part)
            time.sleep(0.05)
        assert read_response(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_connection_that_is_cut_gives_its_order_up(is_streamed):
    backend = FakeBackend(words=["x"] * 1000, pace_s=0.01)
    with running(backend) as server:
        with connect(server) as connection:
            connection.sendall(write_request(dump(chat_body(stream=is_streamed))))
            wait_until(lambda: len(backend.orders) == 1)
        wait_until(lambda: backend.aborted != [], within_s=1)
        backend.threads[0].join(1)
        assert backend.ended == []


def test_a_client_that_reads_nothing_is_dropped_and_its_connection_ended():
    backend = FakeBackend(words=["x" * 100_000] * 1000, pace_s=0.001)
    with running(backend, stall_s=0.3) as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(5)
        connection.connect(("127.0.0.1", port_of(server)))
        connection.sendall(write_request(dump(chat_body(stream=True))))
        wait_until(lambda: backend.aborted != [])
        held = server._uvicorn.server_state.connections
        wait_until(lambda: not held)  # though nothing of what is buffered is ever read
        assert read_to_the_end(connection) != b"data: [DONE]\n\n"
        assert backend.ended == []


def test_an_end_lets_answers_be_finished_and_takes_no_more():
    backend = FakeBackend(words=["x"] * 20, pace_s=0.03)
    with running(backend) as server, httpx2.Client(base_url=server.url) as client:
        with client.stream("POST", "/chat/completions", json=chat_body(stream=True)) as stream:
            ending = threading.Thread(target=server.stop, args=(10,))
            ending.start()
            wait_until(lambda: backend.is_draining)
            with httpx2.Client(base_url=server.url) as other:
                late = other.post("/chat/completions", json=chat_body())
                assert (late.status_code, late.headers["retry-after"]) == (503, "5")
                assert other.get(f"{server.url[:-3]}/ready").status_code == 503
                assert other.get(f"{server.url[:-3]}/health").status_code == 200
            lines = [line for line in stream.iter_lines() if line]
        assert lines[-1] == "data: [DONE]"
        assert json.loads(lines[-2][6:])["choices"][0]["finish_reason"] == "stop"
        ending.join(5)
        assert not server.is_running
        with pytest.raises(ConnectionRefusedError):
            connect(server)


def test_an_end_that_cannot_wait_says_so_in_the_stream():
    backend = FakeBackend(words=["x"] * 1000, pace_s=0.02)
    with running(backend) as server, httpx2.Client(base_url=server.url) as client:
        with client.stream("POST", "/chat/completions", json=chat_body(stream=True)) as stream:
            ending = threading.Thread(target=server.stop, args=(0.2,))
            ending.start()
            lines = [line for line in stream.iter_lines() if line]
        assert lines[-1] == "data: [DONE]"
        assert json.loads(lines[-2][6:])["error"]["code"] == "draining"
        ending.join(5)
        assert not server.is_running


def test_an_idle_connection_does_not_hold_the_end_up():
    with running(FakeBackend()) as server, connect(server):
        began = time.monotonic()
        server.stop(10)
        assert time.monotonic() - began < 3
        assert not server.is_running


def test_an_address_that_is_taken_is_an_error_in_one_line():
    with running(FakeBackend()) as server:
        port = port_of(server)
        with pytest.raises(
            ConfigError, match=f"port {port}: .*in use, expected one that is free"
        ):
            open_socket(HTTPConfig(port=port))


def test_an_address_that_is_not_of_this_machine_is_an_error_in_one_line():
    with pytest.raises(ConfigError, match=r"expected (an address|one that is free)"):
        open_socket(HTTPConfig(host="203.0.113.1", port=0, api_key="k"))
    with pytest.raises(ConfigError, match="expected an address"):
        open_socket(HTTPConfig(host="no.such.host.invalid", port=0, api_key="k"))
