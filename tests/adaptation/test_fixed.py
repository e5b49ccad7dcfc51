"""Strategies without a first pass."""

import itertools
from dataclasses import replace

import mlx.core as mx
import pytest
from helpers import assert_close

from mlx_t2.adaptation import Fixed, Strategy
from mlx_t2.errors import ConfigError

CHAT = [{"role": "user", "content": "7, 4"}]
PROMPTS = [({"role": "system", "content": text},) for text in ("the largest", "its kind")]


def assert_same(scales, expected):
    assert scales.keys() == expected.keys()
    assert all(mx.array_equal(scales[path], expected[path]) for path in expected)


def with_prompt(expert, prompt):
    return replace(expert, config={"prompt": list(prompt)})


def test_the_base_model_wears_nothing():
    strategy = Fixed.base()
    assert isinstance(strategy, Strategy)
    assert (strategy.name, strategy.is_fixed) == ("none", True)
    adapted = strategy.adapt([CHAT, CHAT])
    assert [(a.scales, a.coefficients, a.label) for a in adapted] == [({}, {}, None)] * 2


def test_a_named_expert_is_worn_exactly(experts):
    strategy = Fixed.mixture(experts, {"expression": 1.0})
    (adapted,) = strategy.adapt([CHAT])
    assert_same(adapted.scales, experts["expression"].scales)
    assert (strategy.name, adapted.label) == ("expert:expression", "expression")
    assert adapted.coefficients == {"expression": 1.0}


def test_a_named_mixture_mixes_deviations(experts):
    strategy = Fixed.mixture(experts, {"largest": 0.6, "expression": -0.4})
    (adapted,) = strategy.adapt([CHAT])
    for path, z in adapted.scales.items():
        first, second = experts["largest"].scales[path], experts["expression"].scales[path]
        assert_close(z, 1 + 0.6 * (first - 1) - 0.4 * (second - 1))
    assert (strategy.name, adapted.label) == ("mix:expression=-0.4,largest=0.6", None)


@pytest.mark.parametrize("coefficients", [{}, {"cooking": 1.0}])
def test_a_mixture_of_nothing_known_is_refused(experts, coefficients):
    with pytest.raises(ConfigError, match=r"mixture: got .*, expected some of largest, "):
        Fixed.mixture(experts, coefficients)


def test_the_order_of_experts_changes_nothing(experts):
    coefficients = {"largest": 0.3, "expression": 0.5, "kind": -0.1}
    expected = Fixed.sum(experts), Fixed.mixture(experts, coefficients)
    for order in itertools.permutations(experts):
        turned = {name: experts[name] for name in order}
        alphas = {name: coefficients[name] for name in order}
        for one, same in zip(
            (Fixed.sum(turned), Fixed.mixture(turned, alphas)), expected, strict=True
        ):
            assert_same(one.adapted.scales, same.adapted.scales)
            assert one.name == same.name


def test_the_sum_adds_deviations(experts):
    (adapted,) = Fixed.sum(experts).adapt([CHAT])
    for path, z in adapted.scales.items():
        deviations = [e.scales[path] - 1 for e in experts.values() if path in e.scales]
        assert_close(z, 1 + sum(deviations))
    assert adapted.coefficients == dict.fromkeys(experts, 1.0)


def test_an_expert_brings_its_prompt_and_several_bring_the_one_that_they_share(experts):
    own, other = PROMPTS
    mixed = {
        "largest": with_prompt(experts["largest"], own),
        "expression": with_prompt(experts["expression"], own),
        "kind": with_prompt(experts["kind"], other),
    }
    prompts = [
        Fixed.mixture(mixed, {"kind": 1.0}).adapted.prompt,
        Fixed.mixture(mixed, {"largest": 0.5, "expression": 0.5}).adapted.prompt,
        Fixed.mixture(mixed, {"largest": 1.0, "kind": 0.0}).adapted.prompt,
        Fixed.mixture(mixed, {"largest": 0.9, "kind": 0.1}).adapted.prompt,
        Fixed.sum(mixed).adapted.prompt,
        Fixed.mixture(experts, {"largest": 1.0}).adapted.prompt,
    ]
    assert prompts == [other, own, own, (), (), ()]


def test_an_expert_cannot_be_called_other(experts):
    with pytest.raises(ConfigError, match="none called 'other'"):
        Fixed.sum(experts | {"other": experts["expression"]})
    with pytest.raises(ConfigError, match="experts: got none"):
        Fixed.sum({})
