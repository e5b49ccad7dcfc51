"""What holds for every weight, whatever its shape, dtype, quantisation and class of layer."""

import mlx.core as mx
import numpy as np
import pytest
from any_layer import (
    CALLS,
    KINDS,
    ROUNDING,
    assert_is_output,
    assert_is_weight,
    bytes_of,
    inputs_of,
    layer_of,
    output_by_definition,
    properties,
    random_weight,
    random_z,
    ranks,
    seeds,
    sides,
    stacks,
    wearing,
    worn_as_defined,
)
from helpers import assert_close, random_scales
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from mlx_lm.models.switch_layers import SwitchGLU

from mlx_t2.errors import ModelError
from mlx_t2.svf import (
    dense_weight,
)

MODES = [
    *(("affine", bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64, 128)),
    *(("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)),
]

# MLX's CPU backend has no half-precision product for SwitchLinear itself.
COMPUTED = [
    (kind, dtype)
    for kind in KINDS
    for dtype in ROUNDING
    if kind != "switch" or dtype == mx.float32 or mx.default_device() != mx.cpu
]


@settings(properties, max_examples=6)
@given(stacks, sides, sides, ranks, seeds, st.booleans())
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_is_numpys_svd_with_the_first_singular_values_scaled(
    kind, call, stack, out, inner, rank, seed, bias
):
    layer = wearing(
        layer_of(kind, random_weight(kind, stack, out, inner, seed), bias=bias), rank
    )
    weight, n = layer.base.weight, min(out, inner)
    assert layer.shape[-1] == (n if rank is None else min(rank, n))
    layer.wear(z := random_z(layer, seed))
    expected = worn_as_defined(weight, z)
    assert_is_weight(layer.folded_weight(), weight, expected)
    arguments = inputs_of(layer, kind, call, seed)
    assert_is_output(layer(*arguments), layer, kind, weight, expected, arguments)


@settings(properties, max_examples=20)
@given(sides, sides, ranks, seeds)
@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16], ids=["bfloat16", "float16"])
def test_a_half_precision_weight_is_scaled_as_exactly_as_its_vectors_are_kept(
    dtype, out, inner, rank, seed
):
    layer = wearing(
        layer_of("linear", random_weight("linear", 1, out, inner, seed), dtype), rank
    )
    layer.wear(z := random_z(layer, seed))
    weight = layer.base.weight
    # q is rounded by δ with |δ| ≤ u |q| entry by entry, so ‖δ‖ ≤ u √rank (q has unit columns);
    # to first order W' moves by δ diag(z−1) qᵀ W + q diag(z−1) δᵀ W ≤ 2 ‖δ‖ max|z−1| ‖W‖₂. The
    # term of second order is u √rank / 2 of that.
    rounded = ROUNDING[dtype] * z.size**0.5
    spectral = np.linalg.norm(np.array(weight.astype(mx.float32)), 2)
    change = mx.abs(z - 1).max().item()
    slack = 2 * rounded * (1 + rounded / 2) * change * spectral
    assert_is_weight(layer.folded_weight(), weight, worn_as_defined(weight, z), slack)


@settings(properties, max_examples=6)
@given(stacks, sides, sides, ranks, seeds, st.booleans(), st.sampled_from([None, 32, 16, 8]))
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("kind", "dtype"), COMPUTED, ids=str)
def test_without_z_and_with_ones_every_layer_is_its_base_bit_for_bit(
    kind, dtype, call, stack, out, inner, rank, seed, bias, bits
):
    weight = random_weight(kind, stack, out, inner, seed)
    layer = wearing(layer_of(kind, weight, dtype, bias), rank, bits)
    arguments = inputs_of(layer, kind, call, seed, dtype)
    expected = layer.base(*arguments)
    for z in (None, mx.ones(layer.shape)):
        layer.wear(z)
        got = layer(*arguments)
        assert got.dtype == expected.dtype
        if kind == "switch" and layer.side == "right" and z is not None:
            assert_close(got, expected)  # the next test's
        else:
            assert mx.array_equal(got, expected).item()


@pytest.mark.parametrize(
    ("hidden", "inside", "tokens"),
    [
        (32, 64, 3),
        pytest.param(64, 32, 3, id="narrow experts"),
        pytest.param(32, 64, 40, id="sorted"),
    ],
)
def test_a_block_of_experts_with_ones_is_the_base_bit_for_bit(hidden, inside, tokens):
    block = SwitchGLU(hidden, inside, 4)
    for index, name in enumerate(("gate_proj", "up_proj", "down_proj")):
        shape = block[name].weight.shape
        block[name].weight = mx.random.normal(shape, key=mx.random.key(index))
    x = mx.random.normal((1, tokens, hidden), key=mx.random.key(8))
    indices = mx.random.randint(0, 4, (1, tokens, 2), key=mx.random.key(9))
    expected = block(x, indices)
    for name in ("gate_proj", "up_proj", "down_proj"):
        block[name] = wearing(block[name])
        block[name].wear(mx.ones(block[name].shape))
    assert mx.array_equal(block(x, indices), expected).item()


@settings(properties, max_examples=3)  # for each of 63
@given(st.integers(1, 2), st.integers(1, 48), st.integers(1, 2), seeds, st.booleans())
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "-".join(map(str, mode)))
def test_a_quantised_base_is_untouched_by_ones_and_by_z_and_its_dense_weight_is_scaled(
    mode, kind, stack, out, groups, seed, bias
):
    name, bits, group = mode
    weight = random_weight(kind, stack, out, max(group, 32 * groups), seed)
    base = layer_of(kind, weight, bias=bias).to_quantized(group, bits, name)
    before, dense = bytes_of(base), dense_weight(base)
    layer = wearing(base, bits=32)  # of q: the scales of mxfp4 and its like say bfloat16
    inputs = [inputs_of(layer, kind, call, seed) for call in CALLS]
    layer.wear(mx.ones(layer.shape))
    assert all(mx.array_equal(layer(*x), base(*x)).item() for x in inputs)
    layer.wear(z := random_z(layer, seed))
    expected = worn_as_defined(dense, z)
    assert_is_weight(layer.folded_weight(), dense, expected)
    for arguments in inputs:
        assert_is_output(layer(*arguments), layer, kind, dense, expected, arguments)
    assert bytes_of(base) == before


@pytest.mark.parametrize("bits", [32, 16, 8, None])
def test_quantised_experts_wear_scales_in_half_precision_wherever_they_run(bits):
    base = layer_of("switch", random_weight("switch", 3, 32, 64, 0), mx.bfloat16)
    base = base.to_quantized(32, 4)
    layer = wearing(base, bits=bits)
    arguments = inputs_of(layer, "switch", "plain", 0, mx.bfloat16)
    mx.eval(base(*arguments))
    layer.wear(z := random_z(layer, 0))
    w = worn_as_defined(dense_weight(base), z)
    arguments_32 = [arguments[0].astype(mx.float32), arguments[1]]
    assert_close(layer(*arguments), output_by_definition(layer, "switch", w, arguments_32))


@pytest.mark.parametrize("rows_and_indices", [(3, 2), (3, 4), (2, 3)])
def test_experts_refuse_a_batch_of_which_not_every_row_has_its_scales(rows_and_indices):
    rows, entries = rows_and_indices
    layer = wearing(layer_of("switch", random_weight("switch", 2, 8, 8, 0)))
    layer.wear(random_scales({"": layer.shape}, rows=rows)[""])
    with pytest.raises(ModelError, match="wear their own scales"):
        layer(mx.ones((1, entries, 1, 8)), mx.zeros((1, entries), dtype=mx.int32))


@pytest.mark.parametrize("kind", KINDS)
def test_scales_of_another_rank_and_inputs_of_another_length_are_refused(kind):
    layer = wearing(layer_of(kind, random_weight(kind, 2, 6, 8, 0)))
    with pytest.raises(TypeCheckError):
        layer.wear(mx.ones((*layer.shape[:-1], 7)))
    layer.wear(random_z(layer, 0))
    x, *rest = inputs_of(layer, kind, "plain", 0)
    # which side of a multi-linear layer is the input depends on the call: MLX itself refuses
    with pytest.raises(ValueError if kind == "multi" else TypeCheckError):
        layer(x[..., :7], *rest)


def test_entries_that_do_not_meet_their_experts_are_refused():
    layer = wearing(layer_of("switch", random_weight("switch", 2, 6, 8, 0)))
    layer.wear(random_z(layer, 0))
    with pytest.raises(TypeCheckError):
        layer(mx.ones((2, 3, 1, 8)), mx.zeros((2, 4), dtype=mx.int32))
