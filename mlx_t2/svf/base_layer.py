"""The layers that can wear scales: linear ones with a weight of their own, or a stack of them.

Knows the classes of MLX and mlx-lm and how each keeps its weight; does not know scales.

    nn.Linear, nn.QuantizedLinear               W (out, in)
    SwitchLinear, QuantizedSwitchLinear         W (experts, out, in), some chosen per token
    MultiLinear, QuantizedMultiLinear           W (heads, out, in), one per attention head
"""

import hashlib
from typing import Any, get_args

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from jaxtyping import Float
from mlx_lm.models.mla import MultiLinear, QuantizedMultiLinear
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from mlx_t2.errors import ModelError

Linear = nn.Linear | nn.QuantizedLinear
Switch = SwitchLinear | QuantizedSwitchLinear
Multi = MultiLinear | QuantizedMultiLinear
Quantised = nn.QuantizedLinear | QuantizedSwitchLinear | QuantizedMultiLinear
BaseLayer = Linear | Switch | Multi

BASE_CLASSES = frozenset(get_args(BaseLayer))
"""Compared by exact type: a subclass may mean something else by being called."""


def weight_shape(layer: BaseLayer) -> tuple[int, ...]:
    """(out, in) of the weight as a matrix, or (stack, out, in). Computes nothing."""
    *stack, packed = layer.weight.shape
    return (*stack, packed * 32 // layer.bits if isinstance(layer, Quantised) else packed)


def dense_weight(
    layer: BaseLayer | nn.QuantizedEmbedding, at: int | None = None
) -> Float[mx.array, "*stack out inner"]:
    """The layer's weight in float32; of a stack all matrices, or only the one with index `at`.

    The factors of a quantised weight are widened first, so no bit of them is lost.
    """

    def part(name: str) -> mx.array | None:
        array = layer.get(name)
        return array if array is None or at is None else array[at]

    weight, factors = part("weight"), part("scales")
    assert weight is not None
    if factors is None:
        return weight.astype(mx.float32)
    overall = part("global_scale")
    if overall is not None and overall.ndim:  # one per matrix; MLX takes one at a time
        return mx.stack([dense_weight(layer, i) for i in range(weight.shape[0])])
    biases = part("biases")
    return mx.dequantize(
        weight,
        factors if biases is None else factors.astype(mx.float32),
        None if biases is None else biases.astype(mx.float32),
        group_size=layer.group_size,
        bits=layer.bits,
        mode=str(layer.mode),
        global_scale=overall,
        dtype=mx.float32,
    )


def activation_dtype(layer: BaseLayer) -> mx.Dtype:
    """The dtype that the layer computes in, as far as its weight tells."""
    dtype = layer.scales.dtype if isinstance(layer, Quantised) else layer.weight.dtype
    # mxfp4 and its like keep bare exponents, as integers
    return dtype if mx.issubdtype(dtype, mx.floating) else mx.bfloat16


def with_weight(layer: BaseLayer, weight: Float[mx.array, "*stack out inner"]) -> BaseLayer:
    """An unquantised layer like `layer`, bias included, with this weight."""
    has_bias = "bias" in layer
    if isinstance(layer, Linear):
        new: Any = nn.Linear(1, 1, bias=has_bias)
    elif isinstance(layer, Switch):
        new = SwitchLinear(1, 1, 1, bias=has_bias)
    else:
        new = MultiLinear(1, 1, 1)
    new.weight = weight
    if has_bias:
        new.bias = layer.bias
    return new


def weight_key(layer: BaseLayer) -> str:
    """A hash of everything that makes the weight: bytes, shapes, dtypes and quantisation."""
    digest = hashlib.sha256()
    if isinstance(layer, Quantised):
        digest.update(f"{layer.bits} {layer.group_size} {layer.mode}".encode())
    for name in ("weight", "scales", "biases", "global_scale"):
        array = layer.get(name)
        if array is not None:
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.array(array.view(mx.uint8)).data)
    return digest.hexdigest()


def check_finite(path: str, weight: mx.array) -> None:
    """Raise ModelError for NaN or infinite entries: LAPACK would fail on a thread of its own,
    where nobody catches it.
    """
    if not mx.all(mx.isfinite(weight)).item():
        raise ModelError(
            f"{path}: the weight has NaN or infinite entries, expected finite ones"
        )
