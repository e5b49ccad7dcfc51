"""In which form scales are worn, from token to token and from answer to answer."""

from itertools import count, islice

import pytest
from helpers import random_scales

from mlx_t2.adaptation import Adapted, Fixed
from mlx_t2.generation import AdaptiveGenerator, Tally, tally
from mlx_t2.models import SVFModel
from mlx_t2.sampling import SamplingConfig
from mlx_t2.svf import Choice

MESSAGES = [{"role": "user", "content": "hello"}]


def strategy(model, seed: int = 0, acts_on="all") -> Fixed:
    return Fixed("one", Adapted(random_scales(model.shapes, seed, 0.05), acts_on=acts_on))


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """The steps that a form is asked for; beside from 32 on."""
    steps: list[int] = []

    def choose(model, scales, work):
        steps.append(work.steps)
        return Choice("beside" if work.steps >= 32 else "live", 16, 0.0, 0)

    monkeypatch.setattr(SVFModel, "form_for", choose)
    monkeypatch.setattr(SVFModel, "eos_ids", frozenset())
    return steps


@pytest.mark.parametrize("acts_on", ["all", "answer"])
def test_a_long_answer_goes_on_beside_and_says_the_same(tiny_model, asked, acts_on):
    model, config = tiny_model, SamplingConfig(temperature=0, max_tokens=80)
    one = strategy(model, acts_on=acts_on)
    answer = AdaptiveGenerator(model, one).generate(MESSAGES, config)
    assert asked == [16, 32]
    assert answer.route.form == answer.to_json()["route"]["form"] == "beside"
    asked[:] = []
    short = [
        AdaptiveGenerator(model, one).generate(
            MESSAGES, SamplingConfig(temperature=0, max_tokens=n)
        )
        for n in (1, 16)
    ]
    assert [a.route.form for a in short] == ["live", "live"]
    assert asked == []
    assert answer.text.startswith(short[1].text)
    assert model.worn == {}
    assert model.form == "live"


def test_the_next_answer_under_the_same_scales_begins_in_that_form(tiny_model, asked):
    model, kept = tiny_model, Tally(tiny_model)
    one, other = strategy(model, 0), strategy(model, 1)
    forms = []
    for chosen in (one, one, one, other, one):
        generator = AdaptiveGenerator(model, chosen, kept)
        config = SamplingConfig(temperature=0, max_tokens=20)
        forms.append(generator.generate(MESSAGES, config).route.form)
    assert forms == ["live", "live", "live", "live", "live"]  # few are left: 32 never are
    config = SamplingConfig(temperature=0, max_tokens=60)
    forms = [
        AdaptiveGenerator(model, chosen, kept).generate(MESSAGES, config).route.form
        for chosen in (one, one, other)
    ]
    assert forms == ["beside", "beside", "live"]


def test_the_base_is_never_in_another_form(tiny_model, asked):
    config = SamplingConfig(temperature=0, max_tokens=80)
    answer = AdaptiveGenerator(tiny_model).generate(MESSAGES, config)
    assert (answer.route.form, asked) == ("live", [])


def test_answers_that_are_read_in_turn_keep_to_their_own_scales(tiny_model, asked):
    model, config = tiny_model, SamplingConfig(temperature=0, max_tokens=50)
    alone = [
        AdaptiveGenerator(model, strategy(model, seed)).generate(MESSAGES, config).text
        for seed in (0, 1)
    ]
    generators = [AdaptiveGenerator(model, strategy(model, seed)) for seed in (0, 1)]
    requests = [generator.stream(MESSAGES, config) for generator in generators]
    for _ in zip(*requests, strict=True):
        pass
    for request in requests:
        for _ in request:
            pass
    assert [request.answer.text for request in requests] == alone


def test_matrices_are_made_between_the_tokens(tiny_model, asked, monkeypatch):
    """Each of them takes longer than a token, so one is made after each."""
    clock = iter(range(10**6))
    monkeypatch.setattr(tally, "perf_counter", lambda: next(clock))
    model, config = tiny_model, SamplingConfig(temperature=0, max_tokens=80)
    one = strategy(model)
    request = AdaptiveGenerator(model, one).stream(MESSAGES, config)
    made = []
    for _ in request:
        outfit = request._outfit
        made.append(len(outfit.layers))
        assert set(outfit.layers) | set(outfit.live) == set(one.adapted.scales)
        assert not set(outfit.layers) & set(outfit.live)
    n = len(model.shapes)
    assert made[:32] == [0] * 32
    assert made[32 : 33 + n] == [*range(1, n + 1), n]
    with model.using(one.adapted.scales):
        live = AdaptiveGenerator(model, one).generate(
            MESSAGES, SamplingConfig(temperature=0, max_tokens=16)
        )
    assert request.answer.text.startswith(live.text)


def test_the_next_answer_makes_what_is_left(tiny_model, asked, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(tally, "perf_counter", lambda: next(clock))
    model, kept = tiny_model, Tally(tiny_model)
    one, n = strategy(model), len(model.shapes)
    config, made = SamplingConfig(temperature=0, max_tokens=80), []
    for tokens in (34, 2 * n):  # the first is stopped
        request = AdaptiveGenerator(model, one, kept).stream(MESSAGES, config)
        for _ in islice(request, tokens):
            made.append(len(request._outfit.layers))
    assert sorted(made) == made
    assert 0 < made[33] < n == made[-1]


def test_other_scales_leave_what_was_being_made(tiny_model, asked, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(tally, "perf_counter", lambda: next(clock))
    model, kept = tiny_model, Tally(tiny_model)
    one, other = strategy(model, 0), strategy(model, 1)
    config = SamplingConfig(temperature=0, max_tokens=80)
    begun = AdaptiveGenerator(model, one, kept).stream(MESSAGES, config)
    for _ in islice(begun, 34):
        pass
    assert begun._outfit.layers
    request = AdaptiveGenerator(model, other, kept).stream(MESSAGES, config)
    made = [len(request._outfit.layers) for _ in islice(request, 32)]
    assert made == [0] * 32


def test_the_time_of_a_prompt_is_no_tokens_time(tiny_model, asked, monkeypatch):
    clock = count()
    monkeypatch.setattr(tally, "perf_counter", lambda: next(clock))
    model, kept = tiny_model, Tally(tiny_model)
    one, config = strategy(model), SamplingConfig(temperature=0, max_tokens=80)
    first = AdaptiveGenerator(model, one, kept).stream(MESSAGES, config)
    made = [len(first._outfit.layers) for _ in islice(first, 34)]
    clock = count(10**6)
    second = AdaptiveGenerator(model, one, kept).stream(MESSAGES, config)
    next(iter(second))
    next(iter(second))
    assert len(second._outfit.layers) == made[-1] + 1 < len(model.shapes)


def test_matrices_that_are_there_are_worn_at_once(tiny_model, asked):
    model, config = tiny_model, SamplingConfig(temperature=0, max_tokens=80)
    one = strategy(model)
    for _ in model.put_beside(one.adapted.scales, 16):
        pass
    request = AdaptiveGenerator(model, one).stream(MESSAGES, config)
    made = [len(request._outfit.layers) for _ in request]
    assert set(made) == {0, len(model.shapes)}
