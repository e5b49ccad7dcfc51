"""Long texts are cut into tokens beside the answers that go on."""

import threading

import pytest
from orders import ask, order, put, say_alone, serving, settle

from mlx_t2.errors import ModelError
from mlx_t2.serving import encoder

LONG = ({"role": "user", "content": "hello"},)
TEXT = "the sea " * 20


class Slow:
    """A tokenizer's work that waits for texts of this kind until it is told to go on."""

    def __init__(self, monkeypatch, limit=100):
        self.reached, self.gate = threading.Event(), threading.Event()
        self.threads, self.now, self.most = [], 0, 0
        before = encoder.encode_prompt

        def encode(model, ticket, wanted):
            self.now += 1
            self.most = max(self.most, self.now)
            self.threads.append(threading.current_thread().name)
            if ticket.order.characters > limit:
                self.reached.set()
                assert self.gate.wait(30)
            found = before(model, ticket, wanted)
            self.now -= 1
            return found

        monkeypatch.setattr(encoder, "encode_prompt", encode)
        monkeypatch.setattr(encoder, "_SHORT", limit)


def test_rows_are_decoded_while_a_long_text_is_cut_into_tokens(tiny_model, monkeypatch):
    slow = Slow(monkeypatch)
    long = order(text=TEXT)
    expected = say_alone(tiny_model, long, {})
    with serving(tiny_model) as engine:
        row = put(engine, order(LONG, max_tokens=100_000))
        row.wait(lambda heard: heard.pieces)
        other = put(engine, long)
        assert slow.reached.wait(10)
        before = len(row.pieces)
        row.wait(lambda heard: len(heard.pieces) > before + 20)
        assert engine.counters()["queue_length"] == 1
        slow.gate.set()
        assert other.wait().text() == expected
        engine.abort(row.number)


def test_the_tokenizer_has_one_user_at_a_time_and_nobody_is_lost(tiny_model, monkeypatch):
    slow = Slow(monkeypatch)
    with serving(tiny_model) as engine:
        long = put(engine, order(text=TEXT))
        assert slow.reached.wait(10)
        shorts = [put(engine, order()) for _ in range(3)]
        slow.gate.set()
        assert [one.wait().text() for one in shorts] == [say_alone(tiny_model, order(), {})] * 3
        long.wait()
        assert slow.most == 1
        assert {name.split("_")[1] for name in slow.threads} == {"t2-encoder"}
        ask(engine, order())
        assert "engine" in slow.threads[-1]  # again, as soon as nothing is before it


def test_an_order_that_is_given_up_before_its_tokens_are_known_is_not_answered(
    tiny_model, monkeypatch
):
    slow = Slow(monkeypatch)
    with serving(tiny_model) as engine:
        first, second = put(engine, order(text=TEXT)), put(engine, order(text=TEXT))
        assert slow.reached.wait(10)
        engine.abort(first.number)
        engine.abort(second.number)
        while engine.counters()["aborted_total"] < 2:
            pass
        slow.gate.set()
        counts = settle(engine)
        ask(engine, order())
    assert len(slow.threads) == 2  # the second was never begun
    assert first.events == second.events == []
    assert counts["aborted_total"] == 2


@pytest.mark.parametrize(
    ("error", "kind"), [(ModelError("no words"), "template"), (ValueError("no"), "internal")]
)
def test_a_long_text_that_cannot_be_cut_fails_alone(tiny_model, monkeypatch, error, kind):
    before = encoder.encode_prompt

    def fail(model, ticket, wanted):
        if ticket.order.characters > 100:
            raise error
        return before(model, ticket, wanted)

    monkeypatch.setattr(encoder, "encode_prompt", fail)
    monkeypatch.setattr(encoder, "_SHORT", 100)
    with serving(tiny_model) as engine:
        assert ask(engine, order(text=TEXT)).failure.kind == kind
        assert ask(engine, order()).text() == say_alone(tiny_model, order(), {})


def test_a_long_text_that_does_not_fit_is_refused_as_a_short_one(tiny_model, monkeypatch):
    monkeypatch.setattr(encoder, "_SHORT", 10)
    with serving(tiny_model, context=60) as engine:
        failure = ask(engine, order(text=TEXT)).failure
    assert failure.kind == "context_length"


def test_an_engine_that_ends_leaves_no_encoder_behind(tiny_model, monkeypatch):
    slow = Slow(monkeypatch)
    with serving(tiny_model) as engine:
        heard = [put(engine, order(text=TEXT)) for _ in range(2)]
        assert slow.reached.wait(10)
        slow.gate.set()
        heard[0].wait()
    mine = [one for one in threading.enumerate() if one.name.startswith("mlx_t2-encoder")]
    for one in mine:
        one.join(10)
    assert not any(one.is_alive() for one in mine)
