"""Requests that nobody should send: each gets a 4xx in the API's form, and the server lives."""

import json

import pytest
from serving.driver import ask, build, chat, chat_body, dump
from serving.fake_backend import FakeBackend

DEEP = 1000
RAW = [  # (what is wrong, body, a word of the answer)
    ("nothing", b"", "got nothing"),
    ("blanks", b" \n ", "got nothing"),
    ("no JSON", b"hello", "expected JSON"),
    ("half an object", b'{"model": "base"', "expected JSON"),
    ("two objects", b"{}{}", "expected JSON"),
    ("a comma too many", b'{"model": "base",}', "expected JSON"),
    ("single quotes", b"{'model': 'base'}", "expected JSON"),
    ("a list", b"[]", "got a list"),
    ("a string", b'"hi"', "got a string"),
    ("null", b"null", "got null"),
    ("a number", b"3", "got an integer"),
    ("true", b"true", "got a boolean"),
    ("latin-1", b'{"model": "b\xe4se"}', "expected UTF-8"),
    ("half of a character", b'{"model": "\xe2\x82"}', "expected UTF-8"),
    ("UTF-16", '{"model": "base"}'.encode("utf-16"), "expected UTF-8"),
    ("a byte-order mark", b"\xef\xbb\xbf{}", "expected JSON"),
    ("a line break in a string", b'{"model": "a\nb"}', "expected JSON"),
    ("NaN", b'{"temperature": NaN}', "finite"),
    ("Infinity", b'{"temperature": Infinity}', "finite"),
    ("minus Infinity", b'{"top_p": -Infinity}', "finite"),
    ("a number beyond floats", b'{"temperature": 1e999}', "finite"),
    ("an integer of 5000 digits", b'{"seed": ' + b"9" * 5000 + b"}", "5000 digits"),
    ("a name twice", b'{"model": "base", "model": "x"}', "twice"),
    ("half of a pair", rb'{"model": "\ud800"}', "surrogate"),
    ("half of a pair as a name", rb'{"\udfff": 1}', "surrogate"),
    ("forty lists", b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "nested deeper"),
    ("a thousand lists", b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}", "nested deeper"),
    ("lists beyond recursion", b"[" * 100_000, "nested deeper"),
    ("a thousand objects", b'{"a": ' * DEEP + b"1" + b"}" * DEEP, "nested deeper"),
]
SCHEMA = {"type": "function", "function": {"name": "f", "parameters": {}}}
FIELDS = [  # (fields of a chat, the field that is named)
    ({"model": None}, "model"),
    ({"model": 3}, "model"),
    ({"model": ["base"]}, "model"),
    ({"model": ""}, "model"),
    ({"model": "base:nobody"}, "model"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": {"role": "user"}}, "messages"),
    ({"messages": ["Hi"]}, "messages.0"),
    ({"messages": [{"content": "Hi"}]}, "messages.0.role"),
    ({"messages": [{"role": "king", "content": "Hi"}]}, "messages.0.role"),
    ({"messages": [{"role": ["user"], "content": "Hi"}]}, "messages.0.role"),
    ({"messages": [{"role": "tool", "content": "4", "tool_call_id": "a"}]}, "messages.0.role"),
    ({"messages": [{"role": "function", "content": "4", "name": "f"}]}, "messages.0.role"),
    ({"messages": [{"role": "user"}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": ["Hi"]}]}, "messages.0.content.0"),
    ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages.0.content.0.type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 3}]}]},
        "messages.0.content.0.text",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages.0.content.0.type",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        "messages.0.content.0.type",
    ),
    ({"messages": [{"role": "user", "content": "a", "mood": "good"}]}, "messages.0.mood"),
    (
        {"messages": [{"role": "assistant", "content": "a", "tool_calls": [SCHEMA]}]},
        "messages.0.tool_calls",
    ),
    (
        {"messages": [{"role": "assistant", "content": "a", "audio": {"id": "1"}}]},
        "messages.0.audio",
    ),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": "1"}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_p": -0.1}, "top_p"),
    ({"top_p": 1.1}, "top_p"),
    ({"top_k": 1.5}, "top_k"),
    ({"top_k": -2}, "top_k"),
    ({"min_p": 1}, "min_p"),
    ({"min_p": -1}, "min_p"),
    ({"repetition_penalty": -1}, "repetition_penalty"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"presence_penalty": 2.5}, "presence_penalty"),
    ({"frequency_penalty": -2.5}, "frequency_penalty"),
    ({"frequency_penalty": []}, "frequency_penalty"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": 2**40}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"max_completion_tokens": "16"}, "max_completion_tokens"),
    ({"max_tokens": 3, "max_completion_tokens": 4}, "max_completion_tokens"),
    ({"n": 0}, "n"),
    ({"n": -1}, "n"),
    ({"n": 9}, "n"),
    ({"n": True}, "n"),
    ({"n": 1.0}, "n"),
    ({"seed": 1.5}, "seed"),
    ({"seed": "7"}, "seed"),
    ({"seed": 2**63}, "seed"),
    ({"seed": False}, "seed"),
    ({"stop": 5}, "stop"),
    ({"stop": [5]}, "stop.0"),
    ({"stop": ""}, "stop"),
    ({"stop": [""]}, "stop.0"),
    ({"stop": ["a"] * 5}, "stop"),
    ({"stop": {"a": "b"}}, "stop"),
    ({"stop": "x" * 2000}, "stop"),
    ({"stream": 1}, "stream"),
    ({"stream": "true"}, "stream"),
    (
        {"stream": True, "stream_options": {"include_usage": "yes"}},
        "stream_options.include_usage",
    ),
    ({"stream": True, "stream_options": {"usage": True}}, "stream_options.usage"),
    ({"stream": True, "stream_options": []}, "stream_options"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"logprobs": 5}, "logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"mix": {}}, "mix"),
    ({"mix": {"math": "much"}}, "mix.math"),
    ({"mix": {"math": True}}, "mix.math"),
    ({"mix": {"math": 1e9}}, "mix.math"),
    ({"mix": {"nobody": 1}}, "mix"),
    ({"mix": {"math": 1}, "model": "base:math"}, "mix"),
    ({"mix": [0.5]}, "mix"),
    ({"tools": [SCHEMA]}, "tools"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": SCHEMA}, "tool_choice"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"function_call": {"name": "f"}}, "function_call"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"response_format": "text"}, "response_format"),
    ({"logit_bias": {"50256": -100}}, "logit_bias"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"audio": {"voice": "alloy"}}, "audio"),
    ({"prediction": {"type": "content", "content": "a"}}, "prediction"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"reasoning_effort": "high"}, "reasoning_effort"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"service_tier": "gold"}, "service_tier"),
    ({"user": 3}, "user"),
    ({"store": "yes"}, "store"),
    ({"temprature": 0}, "temprature"),
    ({"suffix": "a"}, "suffix"),
]
TEXT_FIELDS = [  # (fields of a text completion, the field that is named)
    ({"prompt": None}, "prompt"),
    ({"prompt": 3}, "prompt"),
    ({"prompt": {}}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": [[]]}, "prompt.0"),
    ({"prompt": ["a", 1]}, "prompt.1"),
    ({"prompt": [1, "a"]}, "prompt.1"),
    ({"prompt": [1, True]}, "prompt.1"),
    ({"prompt": [-1]}, "prompt.0"),
    ({"prompt": [2**40]}, "prompt.0"),
    ({"prompt": [[1], 2]}, "prompt.1"),
    ({"prompt": ["a"] * 65}, "prompt"),
    ({"prompt": ["a"] * 64, "n": 8}, "n"),
    ({"echo": 1}, "echo"),
    ({"logprobs": True}, "logprobs"),
    ({"logprobs": 6}, "logprobs"),
    ({"logprobs": -1}, "logprobs"),
    ({"suffix": "the end"}, "suffix"),
    ({"best_of": 2}, "best_of"),
    ({"best_of": True}, "best_of"),
    ({"logit_bias": {"1": 1}}, "logit_bias"),
    ({"messages": []}, "messages"),
]


@pytest.fixture(scope="module")
def app():
    return build(FakeBackend())


def assert_refuses(reply, word: str = "") -> None:
    assert 400 <= reply.status < 500
    assert reply.headers["content-type"] == "application/json"
    message = reply.error["message"]
    assert word in message
    assert "\n" not in message
    assert not any(name in message for name in ("Traceback", "Error", "Exception", "mlx_t2."))


@pytest.mark.parametrize(("body", "word"), [row[1:] for row in RAW], ids=[r[0] for r in RAW])
def test_a_body_that_is_not_an_object_of_json_is_refused(app, body, word):
    assert_refuses(ask(app, "POST", "/v1/chat/completions", body), word)
    assert chat(app).status == 200


@pytest.mark.parametrize(("fields", "named"), FIELDS)
def test_a_field_of_a_chat_that_is_wrong_is_named(app, fields, named):
    reply = chat(app, **fields)
    assert_refuses(reply, named)
    assert reply.error["param"] == named
    assert chat(app).status == 200


@pytest.mark.parametrize(("fields", "named"), TEXT_FIELDS)
def test_a_field_of_a_completion_that_is_wrong_is_named(app, fields, named):
    body = {"model": "base", "prompt": "a"} | fields
    reply = ask(app, "POST", "/v1/completions", body)
    assert_refuses(reply, named)
    assert reply.error["param"] == named
    assert chat(app).status == 200


@pytest.mark.parametrize("field", ["model", "messages"])
def test_a_required_field_that_is_missing_is_named(app, field):
    body = {name: value for name, value in chat_body().items() if name != field}
    reply = ask(app, "POST", "/v1/chat/completions", body)
    assert_refuses(reply, field)
    assert reply.error["code"] == "missing_required_parameter"


def test_half_of_a_pair_in_a_text_is_refused_before_a_stream_opens(app):
    body = dump(chat_body(stream=True)).replace(b'"Hi"', rb'"a\ud800b"')
    assert_refuses(ask(app, "POST", "/v1/chat/completions", body), "surrogate")


def test_a_value_that_was_sent_is_not_repeated(app):
    reply = chat(app, user=["hunter2"], temperature="hunter2", stop=[{"hunter2": 1}])
    assert b"hunter2" not in reply.body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models/base", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/embeddings", 404),
        ("GET", "/v1/models/", 404),
        ("GET", "/v1/models/nobody", 404),
        ("GET", "/v1/models/base/../../x", 404),
        ("OPTIONS", "/v1/chat/completions", 405),
        ("GET", "/health/", 404),
    ],
)
def test_what_is_not_there_is_said_in_the_same_form(app, method, path, status):
    reply = ask(app, method, path, b"{}" if method == "POST" else None)
    assert reply.status == status
    assert_refuses(reply)
    assert not any(name.startswith("access-control") for name in reply.headers)


def test_there_are_more_than_sixty_bodies_in_these_tables():
    bodies = {body for _, body, _ in RAW} | {json.dumps(f).encode() for f, _ in FIELDS}
    assert len(bodies) > 60
