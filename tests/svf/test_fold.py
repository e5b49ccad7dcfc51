"""Folded weights, and the bases put back."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from any_layer import (
    KINDS,
    arrays_of,
    bytes_of,
    inputs_of,
    layer_of,
    random_weight,
    random_z,
    wearing,
)
from helpers import assert_close, random_scales

from mlx_t2.errors import ConfigError
from mlx_t2.svf import (
    SVFLayer,
    dense_weight,
    fold_layers,
    unfold_layers,
)
from mlx_t2.svf.fold import folded_layer, measure_fidelity

_WARNING = r"folding into 4 bits keeps \d+ % of the intended change \(correlation 0\.\d\d"
INSIDE = {"plain": None, "quantised": ("affine", 4, 32), "mxfp4": ("mxfp4", 4, 32)}


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [16, 8])
def test_folding_keeps_the_weight_and_unfolding_restores_the_very_same_arrays(
    kind, inside, bits
):
    base = layer_of(kind, random_weight(kind, 3, 40, 64, 0), bias=True)
    if INSIDE[inside]:
        name, into, group = INSIDE[inside]
        base = base.to_quantized(group, into, name)
    layer = wearing(base, bits=32)
    arrays, before = arrays_of(base), bytes_of(base)
    layer.wear(z := random_z(layer, 0))
    expected, arguments = layer.folded_weight(), inputs_of(layer, kind, "plain", 0)
    live, plain = layer(*arguments), base(*arguments)
    bases = fold_layers([layer], bits)
    assert layer.z is None
    assert (layer.base is base, bases[0] is base) == (False, True)
    folded = dense_weight(layer.base)
    # 8 bits: a step is 1/255 of what a group of 64 spans, some 5 standard deviations;
    # mxfp4 computes in bfloat16
    assert_close(folded, np.array(expected), 2e-2)
    tolerance = 1e-5 if (bits, inside) in ((16, "plain"), (16, "quantised")) else 3e-2
    assert_close(layer(*arguments), np.array(live), tolerance)
    unfold_layers([layer], bases)
    assert layer.base is base
    assert all(layer.base[name] is array for name, array in arrays.items())
    assert bytes_of(base) == before
    assert mx.array_equal(layer(*arguments), plain).item()
    layer.wear(z)
    assert mx.array_equal(layer(*arguments), live).item()


@pytest.mark.parametrize("bits", [6, 5, 4, 3, 2])
def test_bits_that_lose_the_expert_have_to_be_forced(bits):
    layer = wearing(layer_of("linear", random_weight("linear", 1, 32, 64, 0)))
    layer.wear(random_z(layer, 0))
    with pytest.raises(ConfigError, match=f"^bits: got {bits}, expected 16 or 8: rounding"):
        folded_layer(layer, bits)
    forced = folded_layer(layer, bits, force=True)
    assert (forced.bits, forced.weight.shape) == (bits, (32, 64 * bits // 32))


@pytest.mark.parametrize("bits", [0, 1, 7, 32, -8])
@pytest.mark.parametrize("force", [False, True])
def test_bits_that_mlx_does_not_have_are_refused_even_by_force(bits, force):
    layer = wearing(layer_of("linear", random_weight("linear", 1, 32, 64, 0)))
    with pytest.raises(ConfigError, match=f"^bits: got {bits}, expected 16 or 8"):
        folded_layer(layer, bits, force)


def test_eight_bits_keep_an_expert_and_four_do_not():
    base = layer_of("linear", random_weight("linear", 1, 256, 256, 0))
    for inside in (base, base.to_quantized(64, 4, "affine")):
        layer = wearing(inside, bits=32)
        layer.wear(random_scales({"": (256,)}, spread=0.03)[""])
        sixteen, eight, four = (
            measure_fidelity(layer, folded_layer(layer, bits, force=True))
            for bits in (16, 8, 4)
        )
        assert min(sixteen.share, sixteen.correlation) > 0.999
        assert min(eight.share, eight.correlation) > 0.9
        # From an unrounded base the change is all there, under rounding some twice its size;
        # from a base of 4 bits most of it rounds back to where it was.
        assert four.correlation < 0.6
        if inside is not base:
            assert four.share < 0.5


def test_what_is_left_of_no_change_is_all_of_it():
    layer = wearing(layer_of("linear", random_weight("linear", 1, 32, 32, 0)))
    assert measure_fidelity(layer, folded_layer(layer)).share == 1


@pytest.mark.parametrize("place", range(3))
def test_a_fold_that_fails_leaves_every_layer_as_it_was(place):
    inputs = [64, 64, 64]
    inputs[place] = 63  # not a multiple of 32
    layers = [wearing(layer_of("linear", random_weight("linear", 1, 40, n, 0))) for n in inputs]
    for layer in layers:
        layer.wear(random_z(layer, 0))
    before = [(layer.base, layer.base.weight, layer.z) for layer in layers]
    with pytest.raises(ConfigError, match="got a weight of 63 inputs, expected a multiple"):
        fold_layers(layers, bits=8)
    for layer, (base, weight, z) in zip(layers, before, strict=True):
        assert layer.base is base
        assert layer.base.weight is weight
        assert layer.z is z


def worn_4_bit_layer() -> SVFLayer:
    base = layer_of("linear", random_weight("linear", 1, 256, 128, 0)).to_quantized(64, 4)
    layer = wearing(base)
    layer.wear(random_scales({"": layer.shape}, spread=0.03)[""])
    return layer


def test_four_bits_are_refused_and_forced_say_what_is_left():
    layer = worn_4_bit_layer()
    with pytest.raises(ConfigError, match=r"bits: got 4, expected 16 or 8: .* Force it"):
        fold_layers([layer], bits=4)
    with pytest.warns(UserWarning, match=_WARNING):
        bases = fold_layers([layer], bits=4, force=True)
    unfold_layers([layer], bases)


@pytest.mark.parametrize(("bits", "tolerance"), [(16, 1e-6), (8, 1e-2)])
def test_a_quantised_base_folds_to_safe_bits(bits, tolerance):
    layer = worn_4_bit_layer()
    expected = np.array(layer.folded_weight())
    base = layer.base
    bases = fold_layers([layer], bits)
    assert isinstance(layer.base, nn.Linear if bits == 16 else nn.QuantizedLinear)
    assert_close(dense_weight(layer.base), expected, tolerance)
    unfold_layers([layer], bases)
    assert layer.base is base
