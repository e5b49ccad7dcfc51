"""Choosing and mixing under routers whose posterior is known."""

import doctest
import itertools
from dataclasses import replace

import mlx.core as mx
import pytest
from helpers import assert_close, tiny_network, tiny_tokenizer

from mlx_t2.adaptation import Chosen, Mixed, Strategy, routed
from mlx_t2.adaptation.routed import mix_rows
from mlx_t2.adaptation.strategy import LazyNumbers
from mlx_t2.errors import ConfigError, ShapeError
from mlx_t2.models import SVFModel

LABELS = ("kind", "expression", "largest", "other")
CHATS = [[{"role": "user", "content": question}] for question in ("7, 4", "my old plum", "Hi")]
PROMPT = [{"role": "system", "content": "the largest"}]


class Saying:
    """A router that says the same of every conversation, or one row for each."""

    def __init__(self, *rows, labels=LABELS, threshold=0.0):
        self.labels, self.rows, self.threshold = labels, rows, threshold
        self.model = SVFModel("tiny", tiny_network(), tiny_tokenizer())

    def posterior(self, conversations, read=()):
        rows = self.rows if len(self.rows) > 1 else self.rows * len(conversations)
        return mx.array(rows, dtype=mx.float32)


def one_hot(label):
    return [float(each == label) for each in LABELS]


# Choosing


def test_the_most_probable_expert_is_worn_with_its_prompt(experts):
    experts["largest"] = replace(experts["largest"], config={"prompt": PROMPT})
    strategy = Chosen("classifier", Saying([0.1, 0.2, 0.4, 0.3]), experts)
    assert isinstance(strategy, Strategy)
    assert (strategy.name, strategy.is_fixed) == ("classifier", False)
    for adapted in strategy.adapt(CHATS):
        assert adapted.scales is experts["largest"].scales
        assert (adapted.label, adapted.coefficients) == ("largest", {"largest": 1.0})
        scores = {"kind": 0.1, "expression": 0.2, "largest": 0.4, "other": 0.3}
        assert adapted.scores == pytest.approx(scores)
        assert list(adapted.prompt) == PROMPT


@pytest.mark.parametrize("combine", [Chosen, Mixed])
def test_what_is_decided_acts_on_what_the_experts_act_on(experts, combine):
    for kind in ("all", "answer"):
        alike = {name: replace(expert, acts_on=kind) for name, expert in experts.items()}
        strategy = combine("some", Saying(one_hot("kind"), one_hot("other")), alike)
        assert strategy.acts_on == kind
        assert [adapted.acts_on for adapted in strategy.adapt(CHATS[:2])] == [kind, kind]
    experts["kind"] = replace(experts["kind"], acts_on="answer")
    with pytest.raises(ConfigError, match=r"'kind' acts on the answer alone and .* on all"):
        combine("both", Saying(one_hot("kind")), experts)


def test_other_and_labels_without_an_expert_are_the_base_model(experts):
    rows = [0.5, 0.3, 0.1, 0.1], [0.3, 0.4, 0.2, 0.1], [0.1, 0.1, 0.1, 0.7]
    known = {"kind": experts["kind"]}
    kind, expression, other = Chosen("classifier", Saying(*rows), known).adapt(CHATS)
    assert kind.scales is experts["kind"].scales
    assert (expression.scales, other.scales) == ({}, {})
    assert (expression.label, other.label) == ("expression", "other")
    assert (expression.coefficients, other.coefficients) == ({}, {})
    assert (expression.prompt, other.prompt) == ((), ())


@pytest.mark.parametrize("combine", [Chosen, Mixed])
def test_an_expert_that_the_router_does_not_know_is_refused(experts, combine):
    with pytest.raises(ConfigError, match="Train a router that knows cooking"):
        combine("x", Saying(one_hot("kind")), experts | {"cooking": experts["kind"]})


def test_in_doubt_the_base_model_answers(experts):
    rows = [0.8, 0.05, 0.05, 0.1], [0.8, 0.04, 0.04, 0.12], [0.3, 0.3, 0.3, 0.1]
    strategy = Chosen("auto", Saying(*rows, threshold=0.89), experts)
    sure, unsure, torn = strategy.adapt(CHATS)
    assert sure.scales is experts["kind"].scales
    assert (unsure.label, unsure.scales, unsure.coefficients, unsure.prompt) == (
        "other",
        {},
        {},
        (),
    )
    assert unsure.scores["other"] == pytest.approx(0.12)
    assert torn.label in experts  # that an expert is meant is sure


# Mixing


@pytest.mark.parametrize("label", LABELS)
def test_a_certain_router_gives_that_experts_scales_exactly(experts, label):
    for adapted in Mixed("mixture", Saying(one_hot(label)), experts).adapt(CHATS):
        expected = experts[label].scales if label in experts else {}
        for path, z in adapted.scales.items():
            assert mx.array_equal(z, expected.get(path, mx.ones_like(z)))


def test_the_coefficients_are_the_posterior_of_the_experts(experts):
    rows = [0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1], [0.0, 0.5, 0.25, 0.25]
    strategy = Mixed("mixture", Saying(*rows), experts)
    assert isinstance(strategy, Strategy)
    for adapted, row in zip(strategy.adapt(CHATS), rows, strict=True):
        posterior = dict(zip(LABELS, row, strict=True))
        assert adapted.label is None
        assert dict(adapted.scores) == pytest.approx(posterior)
        assert dict(adapted.coefficients) == pytest.approx({k: posterior[k] for k in experts})
        for path, z in adapted.scales.items():
            deviations = [
                posterior[k] * (e.scales[path] - 1)
                for k, e in experts.items()
                if path in e.scales
            ]
            assert_close(z, 1 + sum(deviations))


def test_what_is_below_the_threshold_belongs_to_the_base_model(experts):
    rows = [0.5, 0.4, 0.0, 0.1], [0.5, 0.3, 0.0, 0.2], [0.0, 0.0, 0.0, 1.0]
    strategy = Mixed("mixture", Saying(*rows, threshold=0.85), experts)
    sure, unsure, other = strategy.adapt(CHATS)
    assert dict(sure.coefficients) == pytest.approx(
        {"kind": 0.5, "expression": 0.4, "largest": 0.0}
    )
    for adapted in (unsure, other):
        assert set(adapted.coefficients.values()) == {0.0}
        assert all(mx.array_equal(z, mx.ones_like(z)) for z in adapted.scales.values())
    assert dict(unsure.scores) == pytest.approx(dict(zip(LABELS, rows[1], strict=True)))


def test_the_order_of_experts_changes_nothing(experts):
    router = Saying([0.1, 0.2, 0.3, 0.4])
    (expected,) = Mixed("mixture", router, experts).adapt(CHATS[:1])
    for order in itertools.permutations(experts):
        turned = {name: experts[name] for name in order}
        (adapted,) = Mixed("mixture", router, turned).adapt(CHATS[:1])
        assert all(mx.array_equal(adapted.scales[p], z) for p, z in expected.scales.items())
        assert list(adapted.coefficients.items()) == list(expected.coefficients.items())


def test_experts_of_other_lengths_do_not_mix(experts, make_expert):
    short = make_expert("kind", rank=4)
    with pytest.raises(ShapeError, match="mix: expected scales of the same shapes"):
        Mixed("mixture", Saying(one_hot("kind")), experts | {"kind": short})


def test_the_prompt_of_a_mixture_is_known_before_its_coefficients(experts):
    router = Saying([0.1, 0.2, 0.3, 0.4])
    (differing,) = Mixed("mixture", router, experts).adapt(CHATS[:1])
    shared = {name: replace(e, config={"prompt": PROMPT}) for name, e in experts.items()}
    (agreeing,) = Mixed("mixture", router, shared).adapt(CHATS[:1])
    assert (list(differing.prompt), list(agreeing.prompt)) == ([], PROMPT)


@pytest.mark.parametrize("shape", [(50,), (4, 20)], ids=["a weight", "a stack of weights"])
@pytest.mark.parametrize("size", [0.001, 1.0, 1000.0])
def test_a_one_hot_coefficient_is_exact_for_scales_of_any_size(size, shape):
    z = size * mx.random.normal((3, *shape), key=mx.random.key(0))
    assert mx.array_equal(mix_rows(mx.eye(3), z), z)
    assert mx.array_equal(mix_rows(mx.zeros((2, 3)), z), mx.ones((2, *shape)))


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(routed) == (0, 1)


def test_lazy_numbers_are_a_mapping_of_the_numbers_in_the_array():
    numbers = LazyNumbers(("a", "b"), mx.array([0.25, 0.75]) * 2)
    assert list(numbers) == ["a", "b"]
    assert dict(numbers) == {"a": 0.5, "b": 1.5}
