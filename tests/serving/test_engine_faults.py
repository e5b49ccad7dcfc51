"""What goes wrong with one row, one order or one step, and what does not."""

import threading
import time
from dataclasses import replace

import mlx.core as mx
import pytest
from orders import CHAT, Heard, ask, make_expert, order, put, say_alone, serving, settle

from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.experts import Library
from mlx_t2.sampling import SamplingConfig
from mlx_t2.serving import Refused

pytestmark = pytest.mark.whole_runs
LONG = ({"role": "user", "content": "hello"},)
DRAWN = SamplingConfig(temperature=1, seed=3)


@pytest.fixture
def experts(tiny_model):
    return {
        "all": make_expert(tiny_model, "all", 1),
        "answer": make_expert(tiny_model, "answer", 2, acts_on="answer"),
    }


class Gate:
    """Holds the generation thread up before a forward pass, until it is told to go on."""

    def __init__(self, model, monkeypatch, name="logits_at"):
        self.reached, self._open = threading.Event(), threading.Event()
        before = getattr(model, name)

        def wait(*args):
            self.reached.set()
            assert self._open.wait(30)
            return before(*args)

        monkeypatch.setattr(model, name, wait)

    def open(self):
        self._open.set()


# A step that fails


def failing(model, monkeypatch, times, when=lambda tokens: tokens.shape[0] > 1):
    """The next forward passes that are like this raise."""
    before, left = model.logits_at, [times]

    def fail(tokens, cache, at):
        if left[0] and when(tokens):
            left[0] -= 1
            raise RuntimeError("out of memory")
        return before(tokens, cache, at)

    monkeypatch.setattr(model, "logits_at", fail)


def test_after_a_failed_step_every_row_goes_on_as_if_nothing_had_been(
    tiny_model, experts, monkeypatch
):
    orders = [
        order(wear=wear, configs=(replace(DRAWN, seed=seed),), top_logprobs=1)
        for seed, wear in enumerate(("base", "all", "answer", "0.5*all"))
    ]
    expected = [say_alone(tiny_model, one, experts) for one in orders]
    with serving(tiny_model, experts) as engine:
        scores = [ask(engine, one).scores() for one in orders]
        failing(tiny_model, monkeypatch, times=2)
        heard = [put(engine, one) for one in orders]
        assert [one.wait().text() for one in heard] == expected
        counts = engine.counters()
    assert counts["failed_steps_total"] == 2
    for one, before in zip(heard, scores, strict=True):
        got = [(s.id, round(s.logprob, 3)) for s in one.scores()]
        assert got == [(s.id, round(s.logprob, 3)) for s in before]


def test_a_row_that_fails_by_itself_fails_and_no_other(tiny_model, experts, monkeypatch):
    orders = [order(LONG, configs=(DRAWN,)), order(CHAT, "all", (DRAWN,))]
    expected = say_alone(tiny_model, orders[1], experts)
    poison = 57  # drawn by one row alone, here by force
    before = tiny_model.logits_at

    def fail(tokens, cache, at):
        if tokens.shape[1] == 1 and (tokens == poison).any().item():
            raise RuntimeError("a kernel failed")
        return before(tokens, cache, at)

    with serving(tiny_model, experts) as engine:
        monkeypatch.setattr(tiny_model, "logits_at", fail)
        bad = put(engine, order(tokens=(5, 6, poison), max_tokens=40))
        good = put(engine, orders[1])
        assert bad.wait().failure.kind == "internal"
        assert "RuntimeError" in bad.failure.message
        assert good.wait().text() == expected
        assert ask(engine, orders[1]).text() == expected


def test_a_step_that_always_fails_ends_the_orders_and_not_the_thread(tiny_model, monkeypatch):
    with serving(tiny_model) as engine:
        with monkeypatch.context() as patch:
            failing(tiny_model, patch, times=10**6, when=lambda tokens: True)
            heard = [put(engine, order(LONG)) for _ in range(3)]
            assert {one.wait().failure.kind for one in heard} == {"internal"}
        assert engine.is_ready
        assert ask(engine, order()).text() == say_alone(tiny_model, order(), {})


def test_an_order_of_several_rows_that_is_given_up_takes_no_other_with_it(
    tiny_model, monkeypatch
):
    several = order(configs=(DRAWN, replace(DRAWN, seed=4)), max_tokens=40)
    other = order(configs=(replace(DRAWN, seed=5),), max_tokens=40)
    expected = say_alone(tiny_model, other, {})
    with serving(tiny_model, max_rows=2) as engine:
        failing(tiny_model, monkeypatch, times=3)
        gate = Gate(tiny_model, monkeypatch)
        one = put(engine, several)
        assert gate.reached.wait(10)
        waiting = put(engine, other)
        gate.open()
        assert one.wait().failure.kind == "internal"
        assert "RuntimeError" in one.failure.message
        assert waiting.wait().text() == expected
        assert settle(engine)["failed_total"] == 1


def test_failed_steps_with_good_ones_in_between_give_nobody_up(tiny_model, monkeypatch):
    several = order(configs=(DRAWN, replace(DRAWN, seed=4)), max_tokens=60)
    expected = [say_alone(tiny_model, several, {}, row=row) for row in (0, 1)]
    before, passes = tiny_model.logits_at, [0]

    def fail(tokens, cache, at):
        if tokens.shape[0] > 1:
            passes[0] += 1
            if passes[0] % 8 == 0:
                raise RuntimeError("out of memory")
        return before(tokens, cache, at)

    with serving(tiny_model) as engine:
        monkeypatch.setattr(tiny_model, "logits_at", fail)
        one = put(engine, several).wait()
        assert [one.text(row) for row in (0, 1)] == expected
        assert engine.counters()["failed_steps_total"] > 3


def test_a_prompt_that_cannot_be_read_fails_alone(tiny_model, monkeypatch):
    before = tiny_model.extend

    def fail(tokens, cache):
        if (tokens == 63).any().item():
            raise RuntimeError("a kernel failed")
        before(tokens, cache)

    monkeypatch.setattr(tiny_model, "extend", fail)
    with serving(tiny_model) as engine:
        good = put(engine, order(LONG, max_tokens=40))
        assert ask(engine, order(tokens=(5, 63, 6))).failure.kind == "internal"
        assert len(good.wait().text()) == 40


# Scores that are NaN


def test_a_row_whose_scores_are_not_finite_fails_and_its_neighbours_do_not(tiny_model, experts):
    scales = {path: mx.full(z.shape, 1e30) for path, z in experts["all"].scales.items()}
    broken = replace(experts["answer"], name="broken", scales=scales)
    with serving(tiny_model, experts | {"broken": broken}) as engine:
        good = put(engine, order(LONG, "all", (DRAWN,), max_tokens=30))
        good.wait(lambda heard: heard.pieces)
        failure = ask(engine, order(LONG, "broken")).failure
        assert failure.kind == "internal"
        assert failure.message.startswith("expert broken: tiny: its scores are NaN or infinite")
        one = order(LONG, "all", (DRAWN,), max_tokens=30)
        assert good.wait().text() == say_alone(tiny_model, one, experts)


# Listeners


def test_a_listener_that_raises_gives_its_own_order_up(tiny_model):
    def deaf(event):
        raise ValueError("not listening")

    with serving(tiny_model) as engine:
        engine.submit(order(LONG), deaf)
        assert ask(engine, order()).text() == say_alone(tiny_model, order(), {})
        assert settle(engine)["aborted_total"] == 1


# Giving up


def test_an_order_is_given_up_while_it_waits(tiny_model, monkeypatch):
    with serving(tiny_model, max_rows=1) as engine:
        gate = Gate(tiny_model, monkeypatch)
        first = put(engine, order(LONG))
        assert gate.reached.wait(10)
        second, third = put(engine, order(LONG)), put(engine, order(LONG))
        engine.abort(second.number)
        gate.open()
        first.wait()
        third.wait()
        counts = settle(engine)
    assert second.events == []
    assert (counts["aborted_total"], counts["finished_total"]) == (1, 2)


def test_an_order_is_given_up_while_it_is_read(tiny_model, monkeypatch):
    with serving(tiny_model, chunk_tokens=4) as engine:
        gate = Gate(tiny_model, monkeypatch, "extend")
        one = put(engine, order(CHAT))
        assert gate.reached.wait(10)
        engine.abort(one.number)
        gate.open()
        assert settle(engine)["aborted_total"] == 1
        assert ask(engine, order()).text() == say_alone(tiny_model, order(), {})
    assert one.events == []


def test_an_order_is_given_up_while_it_is_decoded_and_counted_once(tiny_model):
    with serving(tiny_model) as engine:
        other = put(engine, order(LONG, configs=(DRAWN,), max_tokens=60))
        one = put(engine, order(LONG, max_tokens=100_000))
        one.wait(lambda heard: len(heard.pieces) > 2)
        engine.abort(one.number)
        engine.abort(one.number)
        expected = say_alone(tiny_model, order(LONG, configs=(DRAWN,), max_tokens=60), {})
        assert other.wait().text() == expected
        counts = settle(engine)
        heard = len(one.events)
        engine.abort(other.number)  # has ended
        ask(engine, order())
    assert counts["aborted_total"] == 1
    assert len(one.events) == heard
    assert not one.is_over


def test_what_has_ended_or_was_given_up_holds_no_memory(tiny_model):
    tokens = tuple(5 + k % 50 for k in range(2000))  # half a megabyte of keys and values
    with serving(tiny_model, cache_bytes=0) as engine:
        ask(engine, order(LONG, max_tokens=2))
        settle(engine)
        before = mx.get_active_memory()
        for gives_up in (True, False):
            one = put(engine, order(tokens=tokens, max_tokens=100_000 if gives_up else 3))
            one.wait(lambda heard: heard.pieces)
            if gives_up:
                engine.abort(one.number)
            one.wait(lambda heard, give=gives_up: give or heard.is_over)
            settle(engine)
            time.sleep(0.1)
            assert mx.get_active_memory() - before < 50_000


# Too much


def test_a_full_queue_refuses_and_says_when_to_come_again(tiny_model, monkeypatch):
    with serving(tiny_model, max_rows=1, max_queue=2) as engine:
        gate = Gate(tiny_model, monkeypatch)
        first = put(engine, order(LONG))
        assert gate.reached.wait(10)
        rest = [put(engine, order(LONG)) for _ in range(2)]
        with pytest.raises(Refused, match="2 requests wait already") as no:
            put(engine, order(LONG))
        assert no.value.kind == "busy"
        assert no.value.retry_after_s >= 1
        gate.open()
        assert all(one.wait().text() for one in [first, *rest])
        assert engine.counters()["refused_total"] == 1


def test_what_never_fits_into_memory_is_refused_and_what_fits_alone_is_answered(tiny_model):
    token = 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, numbers, bytes
    size = 60 * token
    with serving(tiny_model, batch_bytes=size) as engine:
        never = ask(engine, order(LONG, max_tokens=100)).failure
        assert never.kind == "memory"
        assert f"take {token * (len(tiny_model.encode(LONG)) + 100)} bytes" in never.message
        assert f"at most {size}" in never.message
        heard = [put(engine, order(LONG, max_tokens=30)) for _ in range(3)]
        assert {len(one.wait().text()) for one in heard} == {30}


def test_rows_join_as_far_as_their_keys_and_values_fit(tiny_model, monkeypatch):
    rows, before = [], tiny_model.logits_at

    def note(tokens, cache, at):
        rows.append(tokens.shape[0])
        return before(tokens, cache, at)

    longest = len(tiny_model.encode(LONG)) + 30
    with serving(tiny_model, batch_bytes=2 * longest * 256) as engine:
        monkeypatch.setattr(tiny_model, "logits_at", note)
        heard = [put(engine, order(LONG, max_tokens=30)) for _ in range(6)]
        for one in heard:
            one.wait()
    assert max(rows) == 2


def test_an_answer_without_a_limit_ends_where_memory_does(tiny_model):
    with serving(tiny_model, batch_bytes=100 * 256) as engine:
        heard = ask(engine, order(LONG, max_tokens=None))
        assert heard.last().finish_reason == "length"
        total = heard.started.prompt_tokens + heard.last().completion_tokens
        assert total == 101


# Reading beside decoding


def test_a_long_prompt_is_read_while_others_are_decoded(tiny_model):
    prompt = tuple(5 + i % 50 for i in range(400))
    with serving(tiny_model, chunk_tokens=8) as engine:
        row = put(engine, order(LONG, max_tokens=100_000))
        row.wait(lambda heard: heard.pieces)
        before = len(row.pieces)
        long = put(engine, order(tokens=prompt, max_tokens=2))
        short = put(engine, order(LONG, max_tokens=2))
        short.wait()
        assert long.events == []  # the short one is not behind it
        long.wait()
        assert len(row.pieces) - before > 20
        engine.abort(row.number)


def test_what_has_been_read_is_decoded_before_a_long_prompt_goes_on(tiny_model, monkeypatch):
    calls = []

    def note(name, call):
        def noted(tokens, *rest):
            is_short = name == "read" and tokens[0, 0].item() in (7, 9)
            calls.append("short" if is_short else name)
            return call(tokens, *rest)

        return noted

    monkeypatch.setattr(tiny_model, "logits_at", note("step", tiny_model.logits_at))
    monkeypatch.setattr(tiny_model, "extend", note("read", tiny_model.extend))
    with serving(tiny_model, chunk_tokens=16) as engine:
        calls.clear()  # what the engine has tried while it was made
        gate = Gate(tiny_model, monkeypatch, "extend")
        long = put(engine, order(tokens=(8,) * 300, max_tokens=1))
        assert gate.reached.wait(10)
        shorts = [put(engine, order(tokens=(k,) * 3, max_tokens=1)) for k in (7, 9)]
        gate.open()
        for one in [long, *shorts]:
            one.wait()
    first = calls.index("short")
    assert calls[first - 1 : first + 4] == ["read", "short", "short", "step", "read"]


def test_of_two_long_prompts_the_one_that_is_kept_is_the_shorter(tiny_model):
    kept, other = ((first, *(5 + i % 50 for i in range(300))) for first in (7, 8))
    with serving(tiny_model, chunk_tokens=8) as engine:
        ask(engine, order(tokens=kept, max_tokens=1))
        new = put(engine, order(tokens=other, max_tokens=1))
        more = put(engine, order(tokens=(*kept, 9), max_tokens=1))
        more.wait()
        assert new.events == []
        new.wait()


# Ends


def test_draining_takes_no_more_and_answers_what_it_has(tiny_model, monkeypatch):
    with serving(tiny_model) as engine:
        gate = Gate(tiny_model, monkeypatch)
        one = put(engine, order(LONG))
        assert gate.reached.wait(10)
        engine.drain()
        assert engine.is_draining
        with pytest.raises(Refused, match="about to end") as no:
            put(engine, order(LONG))
        assert no.value.kind == "draining"
        gate.open()
        assert len(one.wait().text()) == 12
        assert engine.is_ready
        engine.stop(within_s=5)
        assert not engine.is_ready


def test_what_is_not_answered_in_time_is_told_so(tiny_model):
    with serving(tiny_model) as engine:
        one = put(engine, order(LONG, max_tokens=1_000_000))
        one.wait(lambda heard: heard.pieces)
        started = time.monotonic()
        engine.stop(within_s=0.2)
        assert time.monotonic() - started < 5
    assert one.failure.kind == "draining"
    with pytest.raises(ConfigError, match="the server has ended"):
        engine.change_experts("a", None)


def test_a_step_that_hangs_is_noticed(tiny_model, monkeypatch):
    with serving(tiny_model, step_limit_s=0.6) as engine:
        gate = Gate(tiny_model, monkeypatch)
        one = put(engine, order(LONG))
        assert gate.reached.wait(10)
        time.sleep(0.8)
        assert not engine.is_ready
        gate.open()
        one.wait()
        time.sleep(0.1)
        assert engine.is_ready


# Experts that change


def test_experts_change_while_orders_that_wear_them_go_on(tiny_model, experts, tmp_path):
    library = Library(tmp_path, bundled=None)
    new = make_expert(tiny_model, "new", 9)
    new.save(tmp_path / "new.safetensors")
    before = order(CHAT, "all", (DRAWN,), max_tokens=60)
    after = replace(before, max_tokens=12)
    with serving(tiny_model, experts, library) as engine:
        worn = put(engine, before)
        served = engine.change_experts("all", "new")
        assert served.digest == new.digest
        assert served.name == "all"
        assert ask(engine, after).text() == say_alone(tiny_model, after, {"all": new})
        assert worn.wait().text() == say_alone(tiny_model, before, experts)
        assert engine.change_experts("all", None) is None
        assert [one.name for one in engine.experts()] == ["answer"]
        assert ask(engine, after).failure.kind == "unknown_expert"
        with pytest.raises(ConfigError, match="'all': unknown, expected one of: answer"):
            engine.change_experts("all", None)


def test_an_expert_that_does_not_fit_changes_nothing(tiny_model, experts, tmp_path):
    library = Library(tmp_path, bundled=None)
    make_expert(tiny_model, "wide", 1, config={}).save(tmp_path / "wide.safetensors")
    foreign = replace(make_expert(tiny_model, "foreign", 1), base_fingerprint="0" * 64)
    foreign.save(tmp_path / "foreign.safetensors")
    with serving(tiny_model, experts, library) as engine:
        with pytest.raises(ExpertFileError, match="was trained on"):
            engine.change_experts("foreign", "foreign")
        with pytest.raises(ConfigError, match="'nobody': unknown"):
            engine.change_experts("new", "nobody")
        with pytest.raises(ConfigError, match="got the name 'auto'"):
            engine.change_experts("auto", "wide")
        assert [one.name for one in engine.experts()] == ["all", "answer"]


def test_orders_from_many_threads_are_all_answered(tiny_model, experts):
    one = order(CHAT, "all", (DRAWN,), max_tokens=4)
    expected = say_alone(tiny_model, one, experts)
    heard: list[Heard] = []
    with serving(tiny_model, experts) as engine:

        def work():
            for _ in range(5):
                heard.append(ask(engine, one))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [one.text() for one in heard] == [expected] * 40
    assert len({one.number for one in heard}) == 40
