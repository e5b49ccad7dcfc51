"""z' = 1 + Σ_k α_k (z_k - 1), and what it refuses."""

import doctest
import math

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_t2.errors import ConfigError, ExpertFileError, ShapeError
from mlx_t2.experts import acts_on_of, add, mix, mixing, parse_mix


def assert_close(got, expected):
    """Float32: the largest gap is at most 1e-5 of the largest expected entry."""
    assert got.keys() == expected.keys()
    for path, z in expected.items():
        gap = np.abs(np.array(got[path]) - np.array(z)).max()
        assert gap <= 1e-5 * np.abs(np.array(z)).max()


def exactly(got, expected):
    """Whether two scales are the same, bit for bit."""
    return got.keys() == expected.keys() and all(
        np.array(got[path]).tobytes() == np.array(z).tobytes() for path, z in expected.items()
    )


TINY = {"a": mx.array([0.1, 1e-9, 0.0, -3.7, 1e9, 1.0])}


def test_one_expert_of_coefficient_one_is_itself(make_expert):
    for expert in (make_expert(0), make_expert(scales=TINY)):
        assert exactly(mix([expert], [1.0]), expert.scales)
        assert exactly(add([expert]), expert.scales)


def test_an_expert_of_coefficient_zero_changes_nothing(make_expert):
    one, other = make_expert(scales=TINY), make_expert(1, scales={"a": mx.ones(6) * 3})
    assert exactly(mix([one, other], [1.0, 0.0]), one.scales)
    assert exactly(mix([other, one], [0.0, 1.0]), one.scales)


def test_coefficients_of_zero_are_the_base_exactly(make_expert):
    experts = [make_expert(seed) for seed in range(3)]
    ones = {path: mx.ones_like(z) for path, z in experts[0].scales.items()}
    assert exactly(mix(experts, [0.0, 0.0, -0.0]), ones)


def test_experts_that_are_the_base_mix_to_the_base_exactly(make_expert):
    ones = {"a": mx.ones(6)}
    experts = [make_expert(seed, scales=ones) for seed in range(3)]
    assert exactly(mix(experts, [0.1, 0.7, -2.3]), ones)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(mixing) == (0, 4)


def test_no_experts_are_the_base():
    assert mix([], []) == {}


@pytest.mark.parametrize("seed", range(5))
def test_a_mixture_is_the_formula(make_expert, seed):
    experts = [make_expert(k) for k in range(3)]
    coefficients = np.random.default_rng(seed).normal(size=3)
    expected = {
        path: 1
        + sum(
            alpha * (np.array(e.scales[path], np.float64) - 1)
            for e, alpha in zip(experts, coefficients, strict=True)
        )
        for path in experts[0].scales
    }
    got = mix(experts, coefficients.tolist())
    assert_close(got, expected)
    assert all(z.dtype == mx.float32 for z in got.values())


def test_the_order_of_experts_does_not_matter(make_expert):
    experts, coefficients = [make_expert(k) for k in range(4)], [0.4, -0.3, 1.0, 0.7]
    for order in ([3, 1, 0, 2], [1, 2, 3, 0]):
        turned = mix([experts[k] for k in order], [coefficients[k] for k in order])
        assert_close(turned, mix(experts, coefficients))


def test_a_missing_path_is_one(make_expert):
    z, w = mx.array([0.5, 2.0]), mx.array([3.0, 0.25])
    left, right = make_expert(scales={"a": z, "b": z}), make_expert(scales={"b": w, "c": w})
    one = mx.ones(2)
    padded = [
        make_expert(scales=left.scales | {"c": one}),
        make_expert(scales=right.scales | {"a": one}),
    ]
    assert exactly(mix([left, right], [0.5, 2.0]), mix(padded, [0.5, 2.0]))


def test_the_sum_is_a_mixture_with_coefficients_of_one(make_expert):
    experts = [make_expert(k) for k in range(3)]
    assert exactly(add(experts), mix(experts, [1.0, 1.0, 1.0]))


def test_experts_of_different_models_are_refused(make_expert):
    other = make_expert(1, base_model="big", base_fingerprint="cd34" * 16)
    with pytest.raises(
        ExpertFileError, match=r"mix: 'expert-1' .* 'big' .*cd34.*'tiny' .*ab12"
    ):
        mix([make_expert(0), other], [0.5, 0.5])
    renamed = make_expert(1, base_fingerprint="cd34" * 16)
    with pytest.raises(ExpertFileError, match="mix: 'expert-1'"):
        mix([make_expert(0), renamed], [0.5, 0.5])
    elsewhere = make_expert(1, base_model="big", targets="attention", base_fingerprint="cd34")
    with pytest.raises(ExpertFileError, match="mix: 'expert-1'"):
        mix([make_expert(0), elsewhere], [0.5, 0.5])


def test_a_mixture_acts_on_what_its_experts_act_on_and_both_kinds_do_not_mix(make_expert):
    answer = [make_expert(k, acts_on="answer") for k in range(2)]
    assert acts_on_of(answer) == "answer"
    assert exactly(add(answer), add([make_expert(0), make_expert(1)]))
    assert acts_on_of([make_expert(0)]) == acts_on_of([]) == "all"
    for pair in ([answer[0], make_expert(1)], [make_expert(1), answer[0]]):
        with pytest.raises(
            ConfigError,
            match=r"^mix: 'expert-0' acts on the answer alone and 'expert-1' on all of a "
            r"conversation, expected experts of one kind$",
        ):
            mix(pair, [1.0, 0.0])


def test_experts_of_other_layers_of_one_model_mix(make_expert):
    z = {"model.layers.0.self_attn.q_proj": mx.array([0.5, 2.0])}
    attention = make_expert(1, scales=z, targets="attention", base_fingerprint="cd34")
    mlp = make_expert(0)
    assert exactly(add([mlp, attention]), mlp.scales | z)


def test_scales_of_different_lengths_are_refused_all_at_once(make_expert):
    one = make_expert(0, scales={"a": mx.ones(2), "b": mx.ones(3), "c": mx.ones(1)})
    other = make_expert(1, scales={"a": mx.ones(3), "b": mx.ones((1, 3)), "c": mx.ones(1)})
    with pytest.raises(ShapeError) as caught:
        mix([one, other], [0.5, 0.5])
    assert str(caught.value).splitlines()[1:] == [
        "a: 'expert-0' has (2,), 'expert-1' has (3,)",
        "b: 'expert-0' has (3,), 'expert-1' has (1, 3)",
    ]


@pytest.mark.parametrize("alpha", [math.nan, math.inf, -math.inf])
def test_coefficients_that_are_not_finite_are_refused(make_expert, alpha):
    with pytest.raises(ConfigError, match=f"mix: got 'expert-0'={alpha}, expected a finite"):
        mix([make_expert(0)], [alpha])


def test_each_expert_needs_one_coefficient(make_expert):
    with pytest.raises(ConfigError, match="mix: got 1 coefficients for 2 experts"):
        mix([make_expert(0), make_expert(1)], [1.0])


def test_a_written_mixture_is_read():
    expected = {"largest": 0.6, "kind": 0.4}
    assert (
        parse_mix("largest=0.6,kind=0.4") == parse_mix(" largest = .6 , kind=4e-1") == expected
    )
    assert parse_mix("runs/a=b/expert.safetensors=-1") == {"runs/a=b/expert.safetensors": -1}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "''"),
        ("largest", "'largest'"),
        ("largest=", "'largest='"),
        ("=1", "'=1'"),
        ("largest=much", "'largest=much'"),
        ("largest=nan", "'largest=nan'"),
        ("kind=1,largest=inf", "'largest=inf'"),
        ("kind=1,", "''"),
        ("kind=1,kind=2", "'kind' twice"),
    ],
)
def test_a_miswritten_mixture_is_refused_where_it_is_wrong(text, part):
    with pytest.raises(ConfigError, match=f"mix '{text}': got {part}, expected"):
        parse_mix(text)


@given(st.text())
def test_any_text_is_a_mixture_or_a_config_error(text):
    try:
        coefficients = parse_mix(text)
    except ConfigError:
        return
    assert coefficients
    assert all(math.isfinite(alpha) for alpha in coefficients.values())
