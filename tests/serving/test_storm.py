"""Orders by the dozen, each under its own scales, as if each were alone."""

import os
import random
import time

import mlx.core as mx
import pytest
from helpers import tiny_network, tiny_tokenizer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orders import make_expert, order, put, say_alone, serving, settle
from storm import blow, expect, make_orders

from mlx_t2.adaptation import Chosen
from mlx_t2.experts import Library
from mlx_t2.models import SVFModel
from mlx_t2.reading import BasePrompt
from mlx_t2.routing import HeadRouter
from mlx_t2.sampling import SamplingConfig
from mlx_t2.tasks import Problem

pytestmark = pytest.mark.whole_runs
CACHE = 1 << 17
"""Small enough that prompts are evicted all the time."""


def make_world(folder):
    """A model, eight experts of both kinds, a library with a router that knows four of them."""
    model = SVFModel("tiny", tiny_network(), tiny_tokenizer())
    for _ in model.decompose():
        pass
    experts = {
        f"e{k}": make_expert(model, f"e{k}", k, acts_on="answer" if k % 2 else "all")
        for k in range(8)
    }
    problems = [
        Problem(f"{d}/{i}", ({"role": "user", "content": f"{t} {i}"},), "", "", d)
        for d, t in (("e1", "list"), ("e3", "what"), ("e5", "who"), ("e7", "age"))
        for i in range(5)
    ]
    problems += [
        Problem(f"o/{i}", ({"role": "user", "content": f"1 2 {i}"},), "", "", "other")
        for i in range(5)
    ]
    router = HeadRouter.train(model, problems, problems)
    router.save(folder / "router.safetensors")
    library = Library(folder, bundled=None)
    known = {name: e for name, e in experts.items() if name in router.labels}
    chosen = Chosen("auto", HeadRouter.load(folder / "router.safetensors", model), known)

    def decide(messages):
        read = BasePrompt(model, model.encode(messages))
        return chosen.adapt([messages], [read])[0]

    return model, experts, library, decide


WEARS = (
    *("base", "auto", "auto", *(f"e{k}" for k in range(8))),
    *("0.5*e0 + 0.5*e2", "e1 + e3", "0.3*e4", "e5 + 0.2*e7"),
)


def check_storm(tmp_path, count, at_once, seed=0):
    model, experts, library, decide = make_world(tmp_path)
    orders = make_orders(random.Random(seed), count, WEARS)
    expected = expect(model, orders, experts, decide)
    with serving(model, experts, library, cache_bytes=CACHE, chunk_tokens=16) as engine:
        storm = blow(engine, orders, expected, at_once, seed)
        counts = settle(engine)
    assert storm.wrong == []
    assert storm.ended + storm.aborted == count
    assert storm.aborted > count // 10
    assert len(storm.routes) > (count > 30)
    assert counts["cache_bytes"] <= CACHE
    assert counts["failed_total"] == counts["failed_steps_total"] == 0
    assert counts["finished_total"] + counts["aborted_total"] == count
    assert counts["finished_total"] >= storm.ended
    assert counts["cached_tokens_total"] > 0


def test_a_storm_changes_no_word_of_any_answer(tmp_path):
    check_storm(tmp_path, count=60, at_once=16)


def test_nor_does_it_where_the_device_is_a_step_ahead(tmp_path, monkeypatch):
    monkeypatch.setattr("mlx_t2.serving.batch.has_queue", lambda: True)
    check_storm(tmp_path, count=24, at_once=8, seed=3)


@pytest.mark.slow
def test_a_storm_of_two_hundred_changes_no_word_either(tmp_path):
    check_storm(tmp_path, count=200, at_once=32, seed=1)


@pytest.mark.slow
def test_storms_one_after_another_leave_nothing_behind(tmp_path):
    """As long as MLX_T2_SOAK_S says [s]: `make soak`."""
    ends_at = time.monotonic() + float(os.environ.get("MLX_T2_SOAK_S", "60"))
    model, experts, library, decide = make_world(tmp_path)
    orders = make_orders(random.Random(2), 200, WEARS)
    expected = expect(model, orders, experts, decide)
    sizes = []
    with serving(model, experts, library, cache_bytes=CACHE, chunk_tokens=16) as engine:
        while len(sizes) < 3 or time.monotonic() < ends_at:
            assert blow(engine, orders, expected, 32, len(sizes)).wrong == []
            settle(engine)
            mx.clear_cache()
            sizes.append(mx.get_active_memory())
    slack = 4 * CACHE
    assert max(sizes[1:]) <= sizes[1] + slack, sizes


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(WEARS),
            st.integers(0, 3),
            st.sampled_from([0.0, 1.0]),
            st.integers(1, 8),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=7,
    )
)
@settings(
    max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
def test_who_is_beside_an_answer_and_when_changes_nothing(world, drawn):
    model, experts, library, decide = world
    orders = [
        order(
            tuple(make_orders(random.Random(seed), 1, WEARS)[0].messages),
            wear,
            (SamplingConfig(temperature=temperature, seed=seed),),
            max_tokens=count,
        )
        for wear, seed, temperature, count, _ in drawn
    ]
    with serving(model, experts, library, max_rows=4, chunk_tokens=8) as engine:
        heard = []
        for one, (*_, pause) in zip(orders, drawn, strict=True):
            heard.append(put(engine, one))
            if pause:
                heard[-1].wait(lambda h, n=pause: h.is_over or len(h.pieces) >= n)
        got = [one.wait().text() for one in heard]
    for one, text in zip(orders, got, strict=True):
        adapted = decide(one.messages) if one.wear == "auto" else None
        assert text == say_alone(model, one, experts, adapted)
