"""The change of a weight beside it: against W' composed by a float64 SVD, in every width."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from any_layer import arrays_of, bytes_of, layer_of, random_weight, worn_as_defined
from helpers import assert_close, random_scales

from mlx_t2.errors import ConfigError
from mlx_t2.svf import (
    BESIDE_BITS,
    beside_layer,
    compare_changes,
    decompose_weight,
    dense_weight,
)
from mlx_t2.svf.layer import svf_layer

SIDES = {"left": (64, 96), "right": (96, 64), "square": (64, 64)}
TOLERANCE = {16: 1e-5, 8: 1e-2, 4: 0.2}
"""Of the change: 16 bits are float32 here; 8 and 4 are steps of 1/255 and 1/15 of a group's
span, some 5 standard deviations, so of some 0.6 and 10 % of an entry.
"""


def base_of(shape, inside: str, bias: bool = True, dtype: mx.Dtype = mx.float32):
    base = layer_of("linear", random_weight("linear", 1, *shape, 0), dtype, bias)
    return base.to_quantized(32, 4, "affine") if inside == "quantised" else base


def beside(base, bits: int, spread: float = 0.3, rank: int | None = None):
    """The layer with the change of random scales beside it, its basis and the scales."""
    basis = decompose_weight(dense_weight(base), rank=rank)
    z = random_scales({"": basis.s.shape}, spread=spread)[""]
    return beside_layer(base, basis.side, basis.q, z, bits), basis, z


@pytest.mark.parametrize("bits", BESIDE_BITS)
@pytest.mark.parametrize("inside", ["plain", "quantised"])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rank", [None, 7])
def test_it_is_the_scaled_weight_on_either_side_and_on_both_kinds_of_linear(
    side, inside, bits, rank
):
    base = base_of(SIDES[side], inside)
    before = bytes_of(base)
    layer, _, z = beside(base, bits, rank=rank)
    weight = np.array(dense_weight(base)).astype(np.float64)
    change = worn_as_defined(dense_weight(base), z) - weight
    x = np.random.default_rng(1).normal(size=(2, 3, SIDES[side][1]))
    plain = base(mx.array(x.astype(np.float32)))
    got = layer(mx.array(x.astype(np.float32))) - plain
    assert_close(got, (x @ change.T).astype(np.float32), TOLERANCE[bits])
    assert_close(layer.dense_change(), change.astype(np.float32), 2 * TOLERANCE[bits])
    assert bytes_of(base) == before
    assert all(layer.base[name] is array for name, array in arrays_of(base).items())
    assert isinstance(layer.change, nn.Linear if bits == 16 else nn.QuantizedLinear)


@pytest.mark.parametrize("inside", ["plain", "quantised"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_four_bits_keep_the_change(side, inside):
    shape = {"left": (256, 384), "right": (384, 256)}[side]
    base = base_of(shape, inside)
    layer, basis, z = beside(base, 4, spread=0.03)
    live = svf_layer(base, basis, 32)
    live.wear(z)
    kept = compare_changes(live.folded_weight() - dense_weight(base), layer.dense_change())
    assert kept.correlation >= 0.99
    assert 0.98 < kept.share < 1.02


def test_one_in_every_place_changes_no_bit():
    base = base_of((64, 96), "quantised")
    basis = decompose_weight(dense_weight(base))
    x = mx.random.normal((5, 96), key=mx.random.key(0))
    for bits in BESIDE_BITS:
        layer = beside_layer(base, basis.side, basis.q, mx.ones((64,)), bits)
        assert mx.array_equal(layer(x), base(x)).item()


@pytest.mark.parametrize("bits", BESIDE_BITS)
def test_it_computes_in_the_dtype_of_its_base(bits):
    for shape in SIDES.values():
        layer, _, z = beside(base_of(shape, "plain", dtype=mx.bfloat16), bits)
        x = mx.random.normal((4, shape[1]), key=mx.random.key(1)).astype(mx.bfloat16)
        got = layer(x)
        assert got.dtype == mx.bfloat16
        weight = worn_as_defined(layer.base.weight, z)
        expected = np.array(x.astype(mx.float32)) @ weight.T + np.array(
            layer.base.bias.astype(mx.float32)
        )
        assert_close(got, expected.astype(np.float32), {16: 3e-2, 8: 3e-2, 4: 0.1}[bits])


@pytest.mark.parametrize(("n", "group"), [(128, 64), (96, 32), (33, None), (7, None)])
def test_groups_are_of_64_or_32_entries_and_other_widths_are_not_rounded(n, group):
    layer, *_ = beside(base_of((n, 130), "plain"), 4)
    if group is None:
        assert layer.change.weight.dtype == mx.float32
    else:
        assert (layer.change.group_size, layer.change.bits) == (group, 4)
        scales = 2 * 4 * n * n // group
        assert layer.change_bytes == n * n // 2 + scales


@pytest.mark.parametrize("bits", [0, 2, 3, 6, 32])
def test_other_bits_are_refused(bits):
    with pytest.raises(ConfigError, match=f"^bits: got {bits}, expected 16, 8 or 4"):
        beside(base_of((32, 40), "plain"), bits)


@pytest.mark.parametrize(("bits", "most"), [(4, 1.35), (8, 1.6)])
def test_a_step_reads_a_third_more_than_a_4_bit_base(bits, most):
    """Of the proportions of a 4096 × 14336 weight, which has the same ratio."""
    dense = layer_of("linear", random_weight("linear", 1, 512, 1792, 0), mx.bfloat16)
    layer, *_ = beside(dense.to_quantized(64, 4, "affine"), bits)
    base = sum(array.nbytes for array in arrays_of(layer.base).values())
    assert 1.2 < (base + layer.change_bytes) / base <= most
