"""Layers of every kind with any weight, how they are called, and what they should give."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from helpers import random_scales
from hypothesis import settings
from hypothesis import strategies as st
from mlx_lm.models.mla import MultiLinear
from mlx_lm.models.switch_layers import SwitchLinear

from mlx_t2.svf import SVFLayer, decompose_weight, dense_weight
from mlx_t2.svf.layer import svf_layer

KINDS = ("linear", "switch", "multi")
CALLS = ("plain", "broadcast", "sorted")
"""What a layer is called with; see `inputs_of`."""
ROUNDING = {mx.float32: 2**-24, mx.bfloat16: 2**-8, mx.float16: 2**-11}
"""Half a unit in the last place, relative."""

properties = settings(max_examples=40, deadline=None, derandomize=True)
sides, seeds, stacks = st.integers(1, 70), st.integers(0, 999), st.integers(1, 3)
ranks = st.none() | st.integers(1, 80)


def layer_of(kind: str, weight: np.ndarray, dtype: mx.Dtype = mx.float32, bias: bool = False):
    """A base layer with that weight; the biases of a stack are not zeros, as mlx-lm's are."""
    out = weight.shape[-2]
    if kind == "linear":
        base = nn.Linear(1, out, bias=bias)
    elif kind == "switch":
        base = SwitchLinear(1, out, weight.shape[0], bias=bias)
    else:
        base = MultiLinear(1, out, weight.shape[0])
    base.weight = mx.array(weight.astype(np.float32)).astype(dtype)
    if "bias" in base:
        base.bias = mx.random.normal(base.bias.shape, key=mx.random.key(9)).astype(dtype)
    return base


def wearing(base, rank: int | None = None, bits: int | None = None) -> SVFLayer:
    """The SVF layer of any base."""
    return svf_layer(base, decompose_weight(dense_weight(base), rank=rank), bits)


def random_weight(kind: str, stack: int, out: int, inner: int, seed: int) -> np.ndarray:
    shape = (out, inner) if kind == "linear" else (stack, out, inner)
    return np.random.default_rng(seed).normal(size=shape)


def random_z(layer: SVFLayer, seed: int) -> mx.array:
    return random_scales({"": layer.shape}, seed)[""]


def worn_as_defined(weight: mx.array, z: mx.array) -> np.ndarray:
    """U diag(s ⊙ z) Vᵀ by NumPy's float64 SVD; singular values beyond z are left alone."""
    w = np.array(weight.astype(mx.float32)).astype(np.float64)
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    s[..., : z.shape[-1]] *= np.array(z)
    return (u * s[..., None, :]) @ vt


def assert_is_weight(got, weight: mx.array, expected: np.ndarray, slack: float = 0.0) -> None:
    """1e-5 of W or W', the larger: a z near 0 leaves of W what rounding W has left."""
    got, weight = (np.array(a.astype(mx.float32)).astype(np.float64) for a in (got, weight))
    scale = max(np.linalg.norm(weight), np.linalg.norm(expected))
    assert got.shape == expected.shape
    assert np.linalg.norm(got - expected) <= 1e-5 * scale + slack


def inputs_of(layer: SVFLayer, kind: str, call: str, seed: int, dtype=mx.float32) -> list:
    """Arguments of one call, in each way in which mlx-lm's blocks call a layer."""
    *stack, out, inner = dense_weight(layer.base).shape
    keys = mx.random.split(mx.random.key(seed))

    def draw(*shape):
        return mx.random.normal(shape, key=keys[0]).astype(dtype)

    if kind == "linear":
        return [draw(*{"plain": (2, 3), "broadcast": (), "sorted": (5,)}[call], inner)]
    if kind == "multi":
        return [draw(2, *stack, 3, inner)] if call == "plain" else [draw(*stack, 2, out), False]
    shape = (70,) if call == "sorted" else (2, 3)
    indices = mx.random.randint(0, stack[0], shape, key=keys[1])
    if call == "sorted":
        return [draw(70, 1, inner), mx.sort(indices), True]
    return [draw(*((2, 1) if call == "broadcast" else (2, 3)), 1, inner), indices]


def output_by_definition(layer: SVFLayer, kind: str, w: np.ndarray, arguments: list):
    x = np.array(arguments[0]).astype(np.float64)
    if kind == "multi":
        return x @ (w if len(arguments) == 2 else w.swapaxes(-1, -2))
    bias = np.array(layer.base.bias) if "bias" in layer.base else np.zeros(w.shape[:-1])
    if kind == "linear":
        return x @ w.T + bias
    indices = np.array(arguments[1])
    return x @ w[indices].swapaxes(-1, -2) + bias[indices][..., None, :]


def assert_is_output(got, layer, kind, weight, expected, arguments) -> None:
    """1e-5 of the output of W or W', the larger: see `assert_is_weight`."""
    shown, unworn = (
        output_by_definition(layer, kind, np.array(w), arguments) for w in (expected, weight)
    )
    assert got.shape == shown.shape
    gap, scale = np.abs(np.array(got) - shown).max(), np.abs(unworn).max()
    assert gap <= 1e-5 * max(scale, np.abs(shown).max())


def arrays_of(base) -> dict[str, mx.array]:
    names = ("weight", "scales", "biases", "global_scale", "bias")
    return {name: base[name] for name in names if base.get(name) is not None}


def bytes_of(base) -> dict[str, bytes]:
    return {n: np.array(a.view(mx.uint8)).tobytes() for n, a in arrays_of(base).items()}
