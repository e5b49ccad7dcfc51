import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from helpers import assert_close

from mlx_t2.svf import decompose_weight, dense_weight
from mlx_t2.svf.layer import SVFLinear

SHAPES = [(8, 8), (6, 10), (10, 6)]


def wearing(out: int, inner: int, bias: bool = True) -> tuple[nn.Linear, SVFLinear]:
    base = nn.Linear(inner, out, bias=bias)
    base.weight = mx.random.normal((out, inner), key=mx.random.key(0))
    if bias:
        base.bias = mx.random.normal((out,), key=mx.random.key(1))
    return base, SVFLinear(base, decompose_weight(base.weight))


def by_definition(base: nn.Linear, z: np.ndarray, x: np.ndarray) -> np.ndarray:
    u, s, vt = np.linalg.svd(np.array(base.weight).astype(np.float64), full_matrices=False)
    return x @ ((u * (s * z)) @ vt).T + (np.array(base.bias) if "bias" in base else 0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("out", "inner"), SHAPES)
def test_computes_the_papers_equation(out, inner, bias):
    base, layer = wearing(out, inner, bias)
    z = mx.random.normal((min(out, inner),), key=mx.random.key(2)) * 0.3 + 1
    x = mx.random.normal((2, 3, inner), key=mx.random.key(3))
    layer.wear(z)
    assert_close(layer(x), by_definition(base, np.array(z), np.array(x)))


@pytest.mark.parametrize(("out", "inner"), SHAPES)
@pytest.mark.parametrize("z", [None, "ones"])
def test_is_the_pretrained_layer_bit_for_bit_when_z_is_one(out, inner, z):
    base, layer = wearing(out, inner)
    layer.wear(None if z is None else mx.ones((min(out, inner),)))
    x = mx.random.normal((2, 3, inner), key=mx.random.key(3))
    assert mx.array_equal(layer(x), base(x)).item()


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_base_is_untouched_and_its_dense_weight_is_scaled(bits):
    dense = nn.Linear(64, 32, bias=False)
    base = nn.QuantizedLinear.from_linear(dense, group_size=32, bits=bits)
    before = [np.array(base.weight), np.array(base.scales), np.array(base.biases)]
    layer = SVFLinear(base, decompose_weight(dense_weight(base)))
    x = mx.random.normal((2, 64), key=mx.random.key(3))
    assert mx.array_equal(layer(x), base(x)).item()
    layer.wear(mx.random.normal((32,), key=mx.random.key(4)) * 0.3 + 1)
    assert_close(layer(x), x @ layer.folded_weight().T)
    for was, now in zip(before, [base.weight, base.scales, base.biases], strict=True):
        assert np.array_equal(was, np.array(now))


def test_a_base_whose_scales_are_not_floats_is_scaled_too():
    base = nn.QuantizedLinear.from_linear(nn.Linear(64, 32, bias=False), 32, 4, mode="mxfp4")
    layer = SVFLinear(base, decompose_weight(dense_weight(base)))
    x = mx.random.normal((2, 64), key=mx.random.key(3)).astype(mx.bfloat16)
    assert mx.array_equal(layer(x), base(x)).item()
    layer.wear(mx.random.normal((32,), key=mx.random.key(4)) * 0.3 + 1)
    expected = x.astype(mx.float32) @ layer.folded_weight().T
    assert_close(layer(x), np.array(expected))


@pytest.mark.parametrize(("out", "inner"), SHAPES)
def test_gradient_of_z_is_the_finite_difference(out, inner):
    _, layer = wearing(out, inner)
    x = mx.random.normal((3, inner), key=mx.random.key(5))
    target = mx.random.normal((3, out), key=mx.random.key(6))
    z = mx.random.normal((min(out, inner),), key=mx.random.key(2)) * 0.1 + 1

    def loss(z: mx.array) -> mx.array:
        layer.wear(z)
        return (layer(x) * target).sum()

    gradient = np.array(mx.grad(loss)(z))
    step = 1e-2  # the loss is linear in z, so only rounding limits the step
    for i in range(z.size):
        unit = mx.zeros_like(z)
        unit[i] = step
        slope = (loss(z + unit) - loss(z - unit)).item() / (2 * step)
        assert abs(slope - gradient[i]) <= 1e-3 * max(1, np.abs(gradient).max())


def test_rows_of_a_batch_wear_different_scales():
    _, layer = wearing(6, 10)
    z = mx.random.normal((3, 6), key=mx.random.key(7)) * 0.3 + 1
    x = mx.random.normal((3, 4, 10), key=mx.random.key(8))
    layer.wear(z)
    together = layer(x)
    for row in range(3):
        layer.wear(z[row])
        assert_close(together[row], layer(x[row : row + 1])[0])


def test_activations_keep_their_dtype():
    base = nn.Linear(10, 6, bias=False)
    base.weight = base.weight.astype(mx.bfloat16)
    layer = SVFLinear(base, decompose_weight(base.weight))
    layer.wear(mx.ones((6,)) * 1.1)
    assert layer(mx.ones((2, 10), dtype=mx.bfloat16)).dtype == mx.bfloat16


def test_neither_q_nor_z_is_a_parameter_that_mlx_lm_would_save():
    _, layer = wearing(6, 10)
    layer.wear(mx.ones((6,)))
    assert set(layer.parameters()) == {"base"}
