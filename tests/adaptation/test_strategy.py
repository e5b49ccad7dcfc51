"""Strategies without a first pass, and what all strategies share."""

import itertools

import mlx.core as mx
import pytest
from helpers import assert_close

from mlx_t2.adaptation import (
    Named,
    NoAdaptation,
    Sum,
    TrueLabel,
    question_in,
    stack_rows,
)
from mlx_t2.adaptation.strategy import Reading, choose
from mlx_t2.errors import ConfigError

CHAT = [
    {"role": "system", "content": "Answer."},
    {"role": "user", "content": "3, 8"},
    {"role": "assistant", "content": "8"},
    {"role": "user", "content": "7, 4"},
]


def assert_same(scales, expected):
    assert scales.keys() == expected.keys()
    assert all(mx.array_equal(scales[path], expected[path]) for path in expected)


def test_no_adaptation_wears_nothing(tiny_model):
    adapted = NoAdaptation().adapt(tiny_model, [CHAT, CHAT])
    assert [(a.scales, a.weights, a.label) for a in adapted] == [({}, {}, None)] * 2


def test_a_named_expert_is_worn_exactly(tiny_model, experts):
    strategy = Named(experts, {"expression": 1.0})
    (adapted,) = strategy.adapt(tiny_model, [CHAT])
    assert_same(adapted.scales, experts["expression"].scales)
    assert (strategy.name, adapted.label, adapted.weights) == (
        "expert:code",
        "expression",
        {"expression": 1.0},
    )


def test_a_named_mixture_mixes_deviations(tiny_model, experts):
    strategy = Named(experts, {"largest": 0.6, "expression": -0.4})
    (adapted,) = strategy.adapt(tiny_model, [CHAT])
    for path, z in adapted.scales.items():
        first, second = experts["largest"].scales[path], experts["expression"].scales[path]
        assert_close(z, 1 + 0.6 * (first - 1) - 0.4 * (second - 1))
    assert (strategy.name, adapted.label) == ("mix:code=-0.4,largest=0.6", None)


@pytest.mark.parametrize("weights", [{}, {"cooking": 1.0}])
def test_a_mixture_of_nothing_known_is_refused(experts, weights):
    with pytest.raises(ConfigError, match=r"mixture: got .*, expected some of largest, "):
        Named(experts, weights)


def test_the_sum_does_not_depend_on_the_order_of_experts(tiny_model, experts):
    sums = [
        Sum(dict(order)).adapt(tiny_model, [CHAT])[0].scales
        for order in itertools.permutations(experts.items())
    ]
    for scales in sums:
        assert_same(scales, sums[0])
    for path, z in sums[0].items():
        deviations = [e.scales[path] - 1 for e in experts.values() if path in e.scales]
        assert_close(z, 1 + sum(deviations))


def test_an_expert_cannot_be_called_other(experts):
    with pytest.raises(ConfigError, match="none called 'other'"):
        Sum(experts | {"other": experts["expression"]})
    with pytest.raises(ConfigError, match="experts: got none"):
        Sum({})


def test_the_true_label_is_the_one_of_the_last_question(tiny_model, experts):
    strategy = TrueLabel(experts, {"7, 4": "largest", "hello": "other"})
    greeting = [{"role": "user", "content": "hello"}]
    sums, small_talk = strategy.adapt(tiny_model, [CHAT, greeting])
    assert sums.scales is experts["largest"].scales
    assert (small_talk.scales, small_talk.label, small_talk.weights) == ({}, "other", {})
    with pytest.raises(ConfigError, match="got 'unheard', expected one of the 2 questions"):
        strategy.adapt(tiny_model, [[{"role": "user", "content": "unheard"}]])


def test_other_and_labels_without_an_expert_are_the_base_model(experts):
    labels = ("expression", "cooking", "other")
    posterior = mx.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.1, 0.1, 0.8]])
    code, cooking, other = choose(experts, labels, posterior)
    assert code.scales is experts["expression"].scales
    assert code.weights == {"expression": 1.0}
    assert (cooking.scales, other.scales) == ({}, {})
    assert (cooking.label, other.label) == ("cooking", "other")
    assert (cooking.weights, other.weights) == ({}, {})
    assert code.scores == pytest.approx({"expression": 0.5, "cooking": 0.3, "other": 0.2})


def test_rows_are_the_scales_of_each_conversation_and_ones_where_it_has_none(experts):
    rows = stack_rows([experts["expression"].scales, {}, experts["kind"].scales])
    assert rows.keys() == experts["expression"].scales.keys()
    for path, z in rows.items():
        ones = mx.ones_like(z[0])
        expected = [
            experts["expression"].scales[path],
            ones,
            experts["kind"].scales.get(path, ones),
        ]
        assert mx.array_equal(z, mx.stack(expected))
    assert stack_rows([{}, {}]) == {}


def test_a_reading_is_a_mapping_of_the_numbers_in_the_array():
    reading = Reading(("a", "b"), mx.array([0.25, 0.75]) * 2)
    assert list(reading) == ["a", "b"]
    assert dict(reading) == {"a": 0.5, "b": 1.5}


def test_the_question_is_the_last_user_message():
    assert question_in(CHAT) == "7, 4"
    with pytest.raises(ConfigError, match="1 messages and none from the user"):
        question_in(CHAT[:1])
