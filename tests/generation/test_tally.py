"""In which form scales are worn, from token to token and from answer to answer."""

import pytest
from helpers import random_scales

from mlx_t2.adaptation import Adapted, Fixed
from mlx_t2.generation import AdaptiveGenerator, Tally
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
    model, tally = tiny_model, Tally(tiny_model)
    one, other = strategy(model, 0), strategy(model, 1)
    forms = []
    for chosen in (one, one, one, other, one):
        generator = AdaptiveGenerator(model, chosen, tally)
        config = SamplingConfig(temperature=0, max_tokens=20)
        forms.append(generator.generate(MESSAGES, config).route.form)
    assert forms == ["live", "live", "live", "live", "live"]  # few are left: 32 never are
    config = SamplingConfig(temperature=0, max_tokens=60)
    forms = [
        AdaptiveGenerator(model, chosen, tally).generate(MESSAGES, config).route.form
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
