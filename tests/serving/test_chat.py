"""Chat completions as OpenAI's API has them; traps are what other servers got wrong."""

import json
from itertools import pairwise

import pytest
from serving.driver import ask, build, chat
from serving.fake_backend import FakeBackend

from mlx_t2.sampling import SamplingConfig


def order_of(**fields):
    """The order that a body becomes."""
    backend = FakeBackend()
    reply = chat(build(backend), **fields)
    assert reply.status == 200, reply.body
    return backend.orders[-1]


def test_a_whole_answer_has_every_key_that_the_api_requires():
    body = chat(build(FakeBackend())).json
    (choice,) = body["choices"]
    assert body["id"].startswith("chatcmpl-")
    assert body["object"] == "chat.completion"
    assert isinstance(body["created"], int)
    assert body["model"] == "base"
    assert choice == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": "Good day",
            "refusal": None,
            "annotations": [],
        },
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert body["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 3},
    }


def test_every_answer_has_an_id_of_its_own():
    app = build(FakeBackend())
    assert len({chat(app).json["id"] for _ in range(20)}) == 20


def test_a_stream_is_role_text_one_end_and_done():
    reply = chat(build(FakeBackend()), stream=True)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-accel-buffering"] == "no"
    choices = [chunk["choices"] for chunk in reply.chunks]
    assert all(len(one) == 1 and one[0]["index"] == 0 for one in choices)
    deltas = [(one[0]["delta"], one[0]["finish_reason"]) for one in choices]
    assert deltas == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "Good"}, None),
        ({"content": " day"}, None),
        ({}, "stop"),
    ]
    assert all(one[0]["logprobs"] is None for one in choices)


def test_all_chunks_of_a_stream_have_one_id_and_one_time():
    chunks = chat(build(FakeBackend()), stream=True, n=2).chunks
    heads = [(c["id"], c["created"], c["model"], c["object"]) for c in chunks]
    assert len(set(heads)) == 1
    assert heads[0][3] == "chat.completion.chunk"


def test_a_stream_has_usage_on_request_alone_and_then_as_its_last_chunk():
    app = build(FakeBackend())
    for fields in ({}, {"stream_options": {}}, {"stream_options": {"include_usage": False}}):
        chunks = chat(app, stream=True, **fields).chunks
        assert not any("usage" in chunk for chunk in chunks)
    *chunks, last = chat(app, stream=True, stream_options={"include_usage": True}).chunks
    assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 10
    assert (last["id"], last["object"]) == (chunks[0]["id"], "chat.completion.chunk")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_the_reason_of_the_end_is_the_models(is_streamed):
    reply = chat(build(FakeBackend()), stream=is_streamed, max_tokens=3)
    last = reply.chunks[-1] if is_streamed else reply.json
    assert last["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    "words", [["Gut", "en Tag"], ["", "Guten", "", " Tag", ""], ["Guten Tag"]]
)
def test_a_stream_says_the_same_as_a_whole_answer(words):
    app = build(FakeBackend(words=words))
    chunks = chat(app, stream=True).chunks
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert text == chat(app).json["choices"][0]["message"]["content"] == "Guten Tag"
    assert [c["choices"][0]["finish_reason"] for c in chunks].count("stop") == 1


def test_line_breaks_and_odd_characters_stay_in_one_frame():
    words = ['a\n\nb"\\', "\u2028\r\n", "👩‍👧 日本", ""]
    app = build(FakeBackend(words=words))
    chunks = chat(app, stream=True).chunks
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert text == "".join(words)


def test_n_completions_have_indices_and_begin_with_their_roles():
    app = build(FakeBackend())
    whole = chat(app, n=3).json
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    assert whole["usage"]["completion_tokens"] == 9
    assert whole["usage"]["prompt_tokens"] == 7
    chunks = chat(app, n=3, stream=True).chunks
    for index in range(3):
        own = [c["choices"][0] for c in chunks if c["choices"][0]["index"] == index]
        assert own[0]["delta"]["role"] == "assistant"
        assert not any("role" in choice["delta"] for choice in own[1:])
        assert [c["finish_reason"] for c in own] == [None] * (len(own) - 1) + ["stop"]


def test_logprobs_have_tokens_bytes_and_their_rivals():
    app = build(FakeBackend(words=["Gü", ""]))
    (choice,) = chat(app, logprobs=True, top_logprobs=2).json["choices"]
    assert choice["logprobs"] == {
        "content": [
            {
                "token": "Gü",
                "logprob": -0.5,
                "bytes": [71, 195, 188],
                "top_logprobs": [
                    {"token": "Gü0", "logprob": -1.0, "bytes": [71, 195, 188, 48]},
                    {"token": "Gü1", "logprob": -2.0, "bytes": [71, 195, 188, 49]},
                ],
            }
        ],
        "refusal": None,
    }
    assert (
        chat(app, logprobs=True).json["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        == []
    )
    streamed = chat(app, logprobs=True, top_logprobs=2, stream=True).chunks
    found = [c["choices"][0]["logprobs"] for c in streamed]
    assert [one for one in found if one and one["content"]] == [choice["logprobs"]]


def test_every_answer_says_its_route_in_body_first_chunk_and_header():
    app = build(FakeBackend())
    route = {
        "strategy": "auto",
        "weights": {"auto": 1.0},
        "label": "math",
        "confidence": 0.9123,
        "first_pass_ms": 1.5,
    }
    whole, streamed = chat(app, model="base:auto"), chat(app, model="base:auto", stream=True)
    assert whole.json["route"] == route
    assert [chunk.get("route") for chunk in streamed.chunks] == [route, None, None, None]
    for reply in (whole, streamed):
        assert json.loads(reply.headers["x-t2-route"]) == route


@pytest.mark.parametrize(
    ("model", "wear"),
    [
        ("base", "base"),
        ("tiny/model", "base"),
        ("base:math", "math"),
        ("base:auto", "auto"),
        ("gpt-4", "base"),
        ("clever", "math"),
    ],
)
def test_a_models_name_is_what_is_worn_and_what_the_answer_says(model, wear):
    backend = FakeBackend()
    app = build(backend, aliases={"gpt-4": "base", "clever": "base:math"})
    assert chat(app, model=model).json["model"] == model
    assert backend.orders[-1].wear == wear


def test_a_mixture_is_worn_as_a_sum():
    assert order_of(mix={"math": 0.6, "code": -0.4}).wear == "0.6*math - 0.4*code"
    assert order_of(mix={"code": 1}, model="tiny/model").wear == "1.0*code"
    assert order_of(mix=None).wear == "base"


def test_an_unknown_model_is_a_404_with_the_nearest_names():
    reply = chat(build(FakeBackend()), model="base:maths")
    assert reply.status == 404
    assert reply.error["code"] == "model_not_found"
    assert "base:math" in reply.error["message"]


def test_roles_become_those_of_templates_and_parts_become_a_text():
    messages = [
        {"role": "developer", "content": "Be kind.", "name": "boss"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {
            "role": "assistant",
            "content": "c",
            "refusal": None,
            "tool_calls": None,
            "audio": None,
        },
        {"role": "user", "content": ""},
    ]
    assert order_of(messages=messages).messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": ""},
    ]


def test_an_answer_can_be_sent_back_as_it_is():
    app = build(FakeBackend())
    message = chat(app).json["choices"][0]["message"]
    assert chat(app, messages=[message, {"role": "user", "content": "And?"}]).status == 200


def test_a_field_left_out_null_or_neutral_is_all_the_same():
    nothing = order_of(seed=1)
    nulls = dict.fromkeys(
        ["max_tokens", "temperature", "top_p", "n", "stop", "stream", "logprobs", "tools",
         "top_logprobs", "response_format", "stream_options", "presence_penalty", "mix",
         "logit_bias", "user", "metadata", "tool_choice", "audio"]
    )  # fmt: skip
    neutral = {
        "tools": [],
        "functions": [],
        "tool_choice": "auto",
        "function_call": "none",
        "logit_bias": {},
        "response_format": {"type": "text"},
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "modalities": ["text"],
        "stop": [],
        "top_k": -1,
        "logprobs": False,
        "top_logprobs": 0,
        "reasoning_effort": "none",
    }
    harmless = {
        "user": "u-1",
        "metadata": {"a": "b"},
        "store": True,
        "service_tier": "flex",
        "parallel_tool_calls": True,
        "safety_identifier": "s",
        "prompt_cache_key": "k",
    }
    assert order_of(seed=1, **nulls) == nothing
    assert order_of(seed=1, **neutral) == nothing
    assert order_of(seed=1, **harmless) == nothing


def test_settings_of_the_sampler_arrive():
    order = order_of(
        temperature=0, top_p=0.9, top_k=40, min_p=0.05, repetition_penalty=1.1, seed=7,
        presence_penalty=0.5, frequency_penalty=-2, max_completion_tokens=5, stop=["\n", "END"],
    )  # fmt: skip
    assert order.configs == (
        SamplingConfig(
            temperature=0.0,
            top_p=0.9,
            top_k=40,
            min_p=0.05,
            repetition_penalty=1.1,
            seed=7,
            presence_penalty=0.5,
            frequency_penalty=-2.0,
        ),
    )
    assert (order.max_tokens, order.stop) == (5, ("\n", "END"))
    assert order_of(stop="END").stop == ("END",)
    assert order_of().configs[0].temperature == 1.0
    assert order_of().max_tokens is None


def test_a_request_without_a_limit_has_the_servers():
    backend = FakeBackend()
    app = build(backend, max_tokens=100)
    chat(app), chat(app, max_tokens=500), chat(app, max_completion_tokens=0)
    assert [order.max_tokens for order in backend.orders] == [100, 500, 0]


def test_no_probability_at_all_leaves_the_most_probable_token():
    (config,) = order_of(top_p=0).configs
    assert (config.top_k, config.top_p) == (1, 1.0)


@pytest.mark.parametrize("temperature", [1e-300, 1e-46, 9e-7, 0])
def test_a_temperature_that_scores_cannot_be_divided_by_is_greedy(temperature):
    assert order_of(temperature=temperature).configs[0].temperature == 0


def test_the_least_temperature_is_drawn_at():
    assert order_of(temperature=1e-6).configs[0].temperature == 1e-6


def test_rows_have_seeds_of_their_own_and_the_same_ones_each_time():
    seeds = [c.seed for c in order_of(seed=5, n=8).configs]
    assert seeds[0] == 5
    assert len(set(seeds)) == 8
    assert seeds == [c.seed for c in order_of(seed=5, n=8).configs]
    assert seeds[:3] == [c.seed for c in order_of(seed=5, n=3).configs]
    next_seeds = [c.seed for c in order_of(seed=6, n=8).configs]
    assert not set(seeds) & set(next_seeds)
    assert order_of(seed=-1).configs[0].seed == 2**64 - 1


def test_without_a_seed_no_two_answers_share_one():
    seeds = [c.seed for _ in range(4) for c in order_of(n=8).configs]
    assert len(set(seeds)) == 32
    assert any(seed > 2**32 for seed in seeds)


@pytest.mark.parametrize(
    ("kind", "status", "code", "param"),
    [
        ("context_length", 400, "context_length_exceeded", "messages"),
        ("unknown_expert", 404, "model_not_found", "model"),
        ("template", 400, None, "messages"),
        ("invalid", 400, None, None),
        ("busy", 429, "busy", None),
        ("draining", 503, "draining", None),
        ("memory", 503, "out_of_memory", None),
        ("internal", 500, "internal_error", None),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_fails_before_it_begins_has_a_status(kind, status, code, param, is_streamed):
    reply = chat(build(FakeBackend(fails=kind)), stream=is_streamed)
    assert reply.status == status
    assert (reply.error["code"], reply.error["param"]) == (code, param)
    assert reply.headers["content-type"] == "application/json"
    assert ("retry-after" in reply.headers) == (kind in ("busy", "draining", "memory"))


def test_a_full_queue_says_when_to_come_back():
    reply = chat(build(FakeBackend(refuses="busy")))
    assert (reply.status, reply.headers["retry-after"]) == (429, "3")
    assert reply.error["type"] == "rate_limit_error"


def test_what_breaks_in_a_whole_answer_is_an_error_and_not_half_an_answer():
    reply = chat(build(FakeBackend(breaks="internal")))
    assert reply.status == 500
    assert reply.error["type"] == "server_error"


def test_what_breaks_in_a_stream_is_an_error_frame_and_done():
    reply = chat(build(FakeBackend(breaks="internal", pace_s=0.01)), stream=True)
    assert reply.status == 200
    *chunks, error = reply.chunks
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * len(chunks)
    assert error["error"]["code"] == "internal_error"


def test_a_failure_of_ours_is_told_without_its_words(caplog):
    backend = FakeBackend(breaks_in_submit=True)
    app = build(backend)
    reply = chat(app)
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert b"ValueError" not in reply.body
    assert reply.error["code"] == "internal_error"
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text
    backend.breaks_in_submit = False
    assert chat(app).status == 200


def test_prompts_and_answers_are_not_in_the_logs(caplog):
    caplog.set_level("DEBUG")
    app = build(FakeBackend(words=["Swordfish", ""]))
    chat(app, messages=[{"role": "user", "content": "Hunter2"}])
    chat(
        app,
        messages=[{"role": "user", "content": "Hunter2"}],
        stream=True,
        temperature="Hunter2",
    )
    ask(app, "GET", "/v1/models/Hunter2")
    ask(app, "GET", "/Hunter2\n200")
    assert "POST /v1/chat/completions 200" in caplog.text
    assert "Hunter2" not in caplog.text
    assert "Swordfish" not in caplog.text


def test_ends_of_all_rows_come_before_done():
    frames = chat(build(FakeBackend()), n=4, stream=True).frames
    assert frames.count("[DONE]") == 1
    assert all(a != "[DONE]" for a, _ in pairwise(frames))
