"""What is read of one order serves the next: under the same scales, and never under others."""

from dataclasses import replace

import pytest
from architectures import tiny
from helpers import tiny_tokenizer
from orders import ask, make_expert, order, say_alone, serving

from mlx_t2.experts import Library
from mlx_t2.models import SVFModel
from mlx_t2.sampling import SamplingConfig
from mlx_t2.svf import Recipe

pytestmark = pytest.mark.whole_runs
DRAWN = SamplingConfig(temperature=1, seed=5)
SYSTEM = {"role": "system", "content": "answer in few words"}
FIRST = (SYSTEM, {"role": "user", "content": "hello"})


@pytest.fixture
def experts(tiny_model):
    return {
        "all": make_expert(tiny_model, "all", 1),
        "too": make_expert(tiny_model, "too", 2),
        "answer": make_expert(tiny_model, "answer", 3, acts_on="answer"),
        "also": make_expert(tiny_model, "also", 4, acts_on="answer"),
    }


def follow(first, text) -> tuple:
    """The next turn."""
    return (*first, {"role": "assistant", "content": text}, {"role": "user", "content": "why?"})


def test_the_second_asking_reads_the_last_token_alone(tiny_model, experts):
    with serving(tiny_model, experts) as engine:
        for wear in ("all", "0.5*all"):
            first = ask(engine, order(FIRST, wear)).started
            again = ask(engine, order(FIRST, wear)).started
            assert (first.cached_tokens, again.cached_tokens) == (0, first.prompt_tokens - 1)


def test_the_base_reads_for_all_experts_that_act_on_the_answer(tiny_model, experts):
    with serving(tiny_model, experts) as engine:
        ask(engine, order(FIRST, "answer"))
        for wear in ("also", "base", "answer + 0.5*also"):
            one = order(FIRST, wear, (DRAWN,))
            heard = ask(engine, one)
            assert heard.started.cached_tokens == heard.started.prompt_tokens - 1
            assert heard.text() == say_alone(tiny_model, one, experts)


def test_nothing_is_taken_from_other_scales(tiny_model, experts):
    with serving(tiny_model, experts) as engine:
        for wear in ("base", "all", "too", "0.5*all", "0.6*all"):
            one = order(FIRST, wear, (DRAWN,))
            heard = ask(engine, one)
            assert heard.started.cached_tokens == 0
            assert heard.text() == say_alone(tiny_model, one, experts)


def test_a_replaced_expert_of_the_same_name_starts_anew(tiny_model, experts, tmp_path):
    new = make_expert(tiny_model, "new", 9)
    new.save(tmp_path / "new.safetensors")
    one = order(FIRST, "all", (DRAWN,))
    with serving(tiny_model, experts, Library(tmp_path, bundled=None)) as engine:
        old = ask(engine, one).text()
        engine.change_experts("all", "new")
        heard = ask(engine, one)
        assert heard.started.cached_tokens == 0
        assert heard.text() == say_alone(tiny_model, one, {"all": new}) != old


def test_the_next_turn_reads_what_is_new(tiny_model, experts):
    for wear, answers_too in (("base", True), ("all", True), ("answer", False)):
        with serving(tiny_model, experts) as engine:
            first = ask(engine, order(FIRST, wear, (DRAWN,)))
            later = order(follow(FIRST, first.text()), wear, (DRAWN,))
            heard = ask(engine, later)
            known = heard.started.cached_tokens
            prompt, answer = first.started.prompt_tokens, first.last().completion_tokens
            if answers_too:  # but for where the template writes what nobody has drawn
                assert prompt - 2 <= known <= prompt + answer
                assert known > prompt - 1 or not first.text()
            else:
                assert prompt - 4 <= known <= prompt - 1
            assert heard.text() == say_alone(tiny_model, later, experts)


def test_warm_is_cold_token_for_token(tiny_model, experts):
    orders = [
        order((SYSTEM, {"role": "user", "content": text}), wear, (replace(DRAWN, seed=seed),))
        for seed, text in enumerate(("hello", "hello there", "help"))
        for wear in ("base", "all", "also")
    ]
    told, known = [], []
    for cache_bytes in (1 << 24, 0):
        with serving(tiny_model, experts, cache_bytes=cache_bytes) as engine:
            told.append([ask(engine, one).text() for one in [*orders, *orders]])
            known.append(engine.counters()["cached_tokens_total"])
    assert told[0] == told[1]
    assert known[0] > known[1] == 0


def test_the_cache_stays_within_its_bytes(tiny_model, experts):
    most = 60 * 256  # tokens
    with serving(tiny_model, experts, cache_bytes=most) as engine:
        for text in ("a", "bb", "ccc", "dddd", "eeeee", "f" * 200):
            one = order(({"role": "user", "content": text},), "all", (DRAWN,))
            assert ask(engine, one).text() == say_alone(tiny_model, one, experts)
            assert 0 < engine.counters()["cache_bytes"] <= most


@pytest.mark.parametrize("name", ["gemma3_text", "qwen3_next"])
def test_caches_that_cannot_forget_serve_as_a_whole(name):
    model = SVFModel(name, tiny(name), tiny_tokenizer())
    for _ in model.decompose(Recipe(targets="mlp")):
        pass
    with serving(model) as engine:
        first = order(FIRST, configs=(DRAWN,))
        before = ask(engine, first)
        later = order(follow(FIRST, "no"), configs=(DRAWN,))
        other = order((SYSTEM, {"role": "user", "content": "help"}), configs=(DRAWN,))
        assert ask(engine, first).text() == before.text() == say_alone(model, first, {})
        turn, unlike = ask(engine, later), ask(engine, other)
        assert turn.text() == say_alone(model, later, {})
        assert unlike.text() == say_alone(model, other, {})
        assert unlike.started.cached_tokens == 0
        whole = model.encode(FIRST)[:-1]
        is_whole = model.encode(later.messages)[: len(whole)] == whole
        assert turn.started.cached_tokens == (len(whole) if is_whole else 0)
