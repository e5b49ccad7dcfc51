"""`t2 serve`: what is refused before a model is loaded, and a server from start to end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx2
import pytest

from mlx_t2.errors import ConfigError


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("--alias gpt-4", 2, "got 'gpt-4', expected A=B"),
        ("--alias =base", 2, "expected A=B"),
        ("--port 70000", 2, "less than or equal to 65535"),
        ("--max-rows 0", 2, "greater than or equal to 1"),
        ("--host 0.0.0.0", 1, "can be reached from other machines, expected an api key"),
        ("--host 203.0.113.1 --api-key k", 1, "expected one that is free"),
        ("--host no.such.host.invalid --api-key k", 1, "expected an address"),
        ("--api-key ''", 1, "api key: got an empty one"),
        ("--port 0 --model nowhere/at/all", 1, "nowhere/at/all"),
        ("--port 0 --model tiny --experts experts --alias a=base:gamma", 1, "base:alpha"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_line(t2, experts, line, code, words):
    ran = t2(f"serve {line}")
    assert (ran.code, ran.stdout) == (code, "")
    assert words in ran.said
    if code == 1:
        assert ran.stderr.count("\n") == 1 or "decomposing" in ran.stderr


def test_a_port_that_is_taken_is_refused_before_the_model_is_loaded(t2):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = t2(f"serve --model nowhere/at/all --port {port}")
    assert (ran.code, ran.stdout) == (1, "")
    assert f"127.0.0.1, port {port}: Address already in use" in ran.said


@pytest.mark.parametrize(("flag", "splits"), [("", True), ("--no-split-thoughts", False)])
def test_thoughts_are_apart_from_answers_unless_told_otherwise(t2, monkeypatch, flag, splits):
    asked = []

    def refuse(config):
        asked.append(config)
        raise ConfigError("far enough")

    monkeypatch.setattr("mlx_t2.serving.open_socket", refuse)
    assert "far enough" in t2(f"serve {flag}").said
    assert [config.splits_thoughts for config in asked] == [splits]


@pytest.fixture
def served(place, experts, tmp_path):
    """A process that serves `tiny`, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = f"serve --model tiny --experts experts --port {port} --alias gpt=base:alpha"
    code = "from mlx_t2_cli.start import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words.split(), "--max-tokens", "8"],
        cwd=place,
        env=os.environ | {"MLX_T2_CACHE": str(tmp_path), "MLX_T2_API_KEY": "sesame"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def read_banner(process: subprocess.Popen) -> str:
    """What stands on stdout once it is ready."""
    assert process.stdout is not None
    lines = []
    while not lines or not lines[-1].startswith("  -d") or sum("-d" in x for x in lines) < 2:
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate()
    return "".join(lines)


def test_a_server_says_when_it_is_ready_answers_and_ends_when_it_is_told(served):
    process, url = served
    banner = read_banner(process)
    assert f"{url}/v1" in banner
    assert "base:beta" in banner
    assert "gpt = base:alpha" in banner
    assert "sesame" not in banner
    headers = {"authorization": "Bearer sesame"}
    with httpx2.Client(base_url=url, headers=headers, timeout=60) as client:
        assert client.get("/ready").status_code == 200
        body = {"model": "gpt", "messages": [{"role": "user", "content": "1 2"}], "n": 2}
        reply = client.post("/v1/chat/completions", json=body)
        assert reply.status_code == 200
        assert reply.json()["route"]["weights"] == {"alpha": 1.0}
        assert len(reply.json()["choices"]) == 2
        assert client.get("/v1/models", headers={"authorization": ""}).status_code == 401
        long = body | {"stream": True, "max_tokens": 60, "logprobs": True}
        with client.stream("POST", "/v1/chat/completions", json=long) as stream:
            assert json.loads(stream.headers["x-t2-route"])["weights"] == {"alpha": 1.0}
            process.send_signal(signal.SIGTERM)
            lines = [line for line in stream.iter_lines() if line]
        assert lines[-1] == "data: [DONE]"
        assert "error" not in json.loads(lines[-2][6:])
    began = time.monotonic()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert time.monotonic() - began < 10
    assert "POST /v1/chat/completions 200" in said
    assert "Traceback" not in said
    assert "sesame" not in said
