"""Text completions: prompts of every form, echo, and scores as a few lists."""

import pytest
from orders import serving
from serving.driver import build, complete
from serving.fake_backend import FakeBackend, score

from mlx_t2.serving import Started
from mlx_t2.serving.order import ServedRoute
from mlx_t2.serving.shapes import TextShape
from mlx_t2.serving.worker import Worker


def test_a_whole_completion_has_every_key_that_the_api_requires():
    body = complete(build(FakeBackend())).json
    assert body["id"].startswith("cmpl-")
    assert body["object"] == "text_completion"
    assert body["choices"] == [
        {"index": 0, "text": "Good day", "logprobs": None, "finish_reason": "stop"}
    ]
    assert body["usage"]["total_tokens"] == 10


def test_a_stream_is_text_one_end_and_done():
    chunks = complete(build(FakeBackend()), stream=True).chunks
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [(c["text"], c["finish_reason"]) for c in choices] == [
        ("Good", None),
        (" day", None),
        ("", "stop"),
    ]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert chunks[0]["route"]["strategy"] == "fixed"


@pytest.mark.parametrize(
    ("prompt", "orders"),
    [
        ("Say it", [("Say it", ())]),
        ([1, 2], [(None, (1, 2))]),
        (["a", "b c"], [("a", ()), ("b c", ())]),
        ([[1], [2, 3]], [(None, (1,)), (None, (2, 3))]),
        ("", [("", ())]),
    ],
)
def test_every_form_of_prompt_is_an_order_each(prompt, orders):
    backend = FakeBackend()
    body = complete(build(backend), prompt=prompt, n=2).json
    assert [(order.text, order.tokens) for order in backend.orders] == orders
    assert [choice["index"] for choice in body["choices"]] == list(range(2 * len(orders)))
    assert body["usage"]["prompt_tokens"] == 7 * len(orders)
    assert ("route" in body) == (len(orders) == 1)
    assert ("route" in body["choices"][0]) == (len(orders) > 1)


def seeds_of(**fields) -> list[list[int]]:
    """The seeds of each order's completions."""
    backend = FakeBackend()
    complete(build(backend), **fields)
    return [[config.seed for config in order.configs] for order in backend.orders]


def test_without_a_seed_the_prompts_of_one_body_share_none():
    seeds = seeds_of(prompt=["a"] * 8, n=2)
    assert len({seed for row in seeds for seed in row}) == 16


def test_a_seed_is_spread_over_prompts_and_their_completions():
    seeds = seeds_of(prompt=["a"] * 8, n=3, seed=5)
    assert seeds[0] == seeds_of(prompt="a", n=3, seed=5)[0]
    assert seeds[0][0] == 5
    assert len({seed for row in seeds for seed in row}) == 24
    assert seeds == seeds_of(prompt=["a"] * 8, n=3, seed=5)
    assert [row[:2] for row in seeds] == seeds_of(prompt=["a"] * 8, n=2, seed=5)


def test_several_prompts_stream_as_choices_of_one_answer():
    chunks = complete(build(FakeBackend()), prompt=["a", "b"], stream=True, echo=True).chunks
    texts = ["", ""]
    for chunk in chunks:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["text"]
    assert texts == ["aGood day", "bGood day"]


def test_orders_before_a_refused_one_are_given_up():
    class Half(FakeBackend):
        def submit(self, order, listen):
            self.refuses = "busy" if self.orders else None
            return super().submit(order, listen)

    backend = Half()
    assert complete(build(backend), prompt=["a", "b"]).status == 429
    assert backend.aborted == [1]


class Bounded(FakeBackend):
    """A backend that two orders may wait for."""

    def submit(self, order, listen):
        self.refuses = "busy" if len(self.orders) >= 2 else None
        return super().submit(order, listen)

    def counters(self):
        return {"queue_limit": 2.0}


@pytest.mark.parametrize("is_streamed", [False, True])
def test_more_prompts_than_can_ever_wait_are_not_to_be_sent_again(is_streamed):
    backend = Bounded()
    reply = complete(build(backend), prompt=["a", "b", "c"], stream=is_streamed)
    assert (reply.status, reply.error["param"]) == (400, "prompt")
    assert reply.error["message"] == (
        "prompt: got 3 prompts, expected 2 at most: no more can wait in this server's queue"
    )
    assert "retry-after" not in reply.headers
    assert backend.aborted == [1, 2]


def test_as_many_prompts_as_can_wait_may_be_sent_again():
    backend = Bounded()
    app = build(backend)
    assert complete(app).status == 200
    reply = complete(app, prompt=["a", "b"])
    assert (reply.status, reply.headers["retry-after"]) == (429, "3")


def test_an_engine_says_how_many_orders_can_wait(tiny_model, monkeypatch):
    monkeypatch.setattr(Worker, "take", lambda worker, ticket: worker._waiting.append(ticket))
    monkeypatch.setattr(Worker, "work", lambda worker: None)
    with serving(tiny_model, max_queue=2) as engine:
        reply = complete(build(engine), prompt=["a", "b", "c"])
        assert reply.status == 400
        assert "got 3 prompts, expected 2 at most" in reply.error["message"]


def test_an_echo_is_the_prompt_and_its_scores_and_then_the_rest():
    app = build(FakeBackend())
    (choice,) = complete(app, echo=True, logprobs=1).json["choices"]
    assert choice["text"] == "Say itGood day"
    assert choice["logprobs"] == {
        "tokens": ["Say", " it", "Good", " day"],
        "token_logprobs": [None, -1.5, -0.5, -0.5],
        "top_logprobs": [
            None,
            {" it": -1.5},
            {"Good0": -1.0, "Good": -0.5},
            {" day0": -1.0, " day": -0.5},
        ],
        "text_offset": [0, 3, 6, 10],
    }
    assert complete(app, echo=True).json["choices"][0] == choice | {"logprobs": None}


def test_an_echo_without_a_completion_is_the_prompt_alone():
    backend = FakeBackend()
    body = complete(build(backend), echo=True, logprobs=0, max_tokens=0).json
    (choice,) = body["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("Say it", "length")
    assert choice["logprobs"]["token_logprobs"] == [None, -1.5]
    assert body["usage"]["completion_tokens"] == 0
    assert backend.orders[0].is_echoed


def test_a_streamed_echo_has_the_same_scores():
    app = build(FakeBackend())
    (whole,) = complete(app, echo=True, logprobs=1).json["choices"]
    parts = [
        chunk["choices"][0]["logprobs"]
        for chunk in complete(app, echo=True, logprobs=1, stream=True).chunks
    ]
    for key, expected in whole["logprobs"].items():
        assert [one for part in parts if part for one in part[key]] == expected


def test_the_echo_of_token_ids_is_what_their_bytes_say():
    shape = TextShape(has_scores=True, echoes=[None])
    choice = shape.begin(0, 0)
    euro = [part_of_euro(b"\xe2\x82", None), part_of_euro(b"\xac", -0.25)]
    choice.read(Started(ServedRoute("fixed", {}), 2, 0, tuple(euro)))
    found = choice.whole("!", [score("!")], "stop")
    assert found["text"] == "€!"
    assert found["logprobs"]["tokens"] == [r"bytes:\xe2\x82", r"bytes:\xac", "!"]
    assert found["logprobs"]["text_offset"] == [0, 0, 1]


@pytest.mark.parametrize(
    ("text", "tokens", "offsets"),
    [
        ("hello", ["<s>", "hel", "lo"], [0, 0, 3, 5]),  # its beginning is the tokenizer's own
        ("<s>hello", ["<s>", "hello"], [0, 3, 8]),
        ("hello", ["<s>", " hello", "</s>"], [0, 0, 5, 5]),  # a space of its own, and an end
        ("", ["<s>"], [0, 0]),
        (" a", ["<s>", " ", " a"], [0, 0, 0, 2]),
        ("Hi you", ["hi", " you"], [0, 2, 6]),  # normalised: the tokens' own lengths
    ],
)
def test_offsets_are_places_in_the_text_that_was_sent(text, tokens, offsets):
    choice = TextShape(has_scores=True, echoes=[text]).begin(0, 0)
    echoed = tuple(score(token) for token in tokens)
    streamed = choice.read(Started(ServedRoute("fixed", {}), len(tokens), 0, echoed))
    assert streamed is not None
    assert streamed["logprobs"]["text_offset"] == offsets[:-1]
    assert choice.add("!", [score("!")])["logprobs"]["text_offset"] == offsets[-1:]
    assert choice.whole("!", [score("!")], "stop")["logprobs"]["text_offset"] == offsets


def test_characters_in_parts_keep_their_place_behind_a_token_that_is_not_in_the_text():
    choice = TextShape(has_scores=True, echoes=["€"]).begin(0, 0)
    euro = [part_of_euro(b"\xe2\x82", None), part_of_euro(b"\xac", -0.25)]
    choice.read(Started(ServedRoute("fixed", {}), 3, 0, (score("<s>"), *euro)))
    found = choice.whole("!", [score("!")], "stop")
    assert found["logprobs"]["text_offset"] == [0, 0, 0, 1]


def part_of_euro(raw: bytes, logprob: float | None):
    from mlx_t2.serving import TokenScore

    return TokenScore(1, "\ufffd", raw, logprob)


def test_a_token_of_no_probability_has_a_number_that_json_can_say():
    shape = TextShape(has_scores=True, echoes=None)
    found = shape.begin(0, 0).whole("a", [score("a", float("-inf"))], "stop")
    assert found["logprobs"]["token_logprobs"] == [-9999.0]


def test_neutral_values_of_what_is_not_served_are_accepted():
    app = build(FakeBackend())
    assert complete(app, suffix=None, best_of=1, logit_bias={}, user="u").status == 200
    assert complete(app, suffix="", best_of=None).status == 200
