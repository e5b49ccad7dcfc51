"""Beside: the base stays as it is, and what scales change is one square matrix next to it.

    M = q diag(z − 1) qᵀ  (n × n, n = min(out, in))

    out ≤ in:  y' = y + M y,  y = W x        in < out:  y' = W (x + M x)

which is W' x. Rounding M rounds the change, not the weight that carries it, so four bits
are enough where W' folded into eight loses part of it.

Knows linear layers; does not know models, or when it pays. A stack of weights stays live.
"""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from jaxtyping import Float

from mlx_t2.errors import ConfigError

from .base_layer import Linear, activation_dtype, dense_weight
from .decompose import Side
from .singular_vectors import SingularVectors

BESIDE_BITS = (16, 8, 4)
"""What an entry of M may take."""
_BLOCKS = (64, 32)
"""How many entries of M share a scale, the first that divides n."""


class BesideLinear(nn.Module):
    """A linear layer and the change of its weight, as one matrix on its smaller side."""

    def __init__(self, base: Linear, change: Linear, side: Side):
        """change: M as a layer without bias."""
        super().__init__()
        self.base, self.change, self.side = base, change, side

    @property
    def change_bytes(self) -> int:
        """Bytes of M as it is kept here."""
        return sum(part.nbytes for part in self.change.values() if isinstance(part, mx.array))

    def dense_change(self) -> Float[mx.array, "out inner"]:
        """What it adds to the weight, W' − W as M has it, in float32."""
        change, weight = dense_weight(self.change), dense_weight(self.base)
        return change @ weight if self.side == "left" else weight @ change

    def __call__(self, x: Float[mx.array, "*batch inner"]) -> Float[mx.array, "*batch out"]:
        if self.side == "right":
            return self.base(x + self.change(x).astype(x.dtype))
        y = self.base(x)
        plain = y - self.base.bias if "bias" in self.base else y
        return y + self.change(plain).astype(y.dtype)


def compose_change(q: SingularVectors, z: Float[mx.array, " rank"]) -> Float[mx.array, "n n"]:
    """M = q diag(z − 1) qᵀ, in float32.

    >>> from mlx_t2.svf import decompose_weight
    >>> w = mx.array([[3.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    >>> compose_change(decompose_weight(w).q, mx.array([10.0, 1.0]))
    array([[9, 0],
           [0, 0]], dtype=float32)
    """
    dense = q.dense()
    return (dense * (z - 1)) @ dense.T


def round_change(change: Float[mx.array, "n n"], bits: int, dtype: mx.Dtype) -> Linear:
    """M as a layer in `bits` per entry; 16 is `dtype`, what the base computes in.

    8 and 4 bits are affine, in groups of 64 or 32 entries; where neither divides n, it is 16.
    Raises: ConfigError for other bits.
    """
    if bits not in BESIDE_BITS:
        raise ConfigError(f"bits: got {bits}, expected 16, 8 or 4 beside a weight")
    layer: Any = nn.Linear(1, 1, bias=False)
    block = next((size for size in _BLOCKS if change.shape[-1] % size == 0), None)
    if bits == 16 or block is None:
        layer.weight = change.astype(dtype)
        return layer
    layer.weight = change
    layer = layer.to_quantized(block, bits, "affine")
    layer.scales, layer.biases = layer.scales.astype(dtype), layer.biases.astype(dtype)
    return layer


def beside_layer(
    base: Linear, side: Side, q: SingularVectors, z: Float[mx.array, " rank"], bits: int
) -> BesideLinear:
    """The base with the change that `z` makes of it beside it, lazily."""
    change = round_change(compose_change(q, z), bits, activation_dtype(base))
    return BesideLinear(base, change, side)
