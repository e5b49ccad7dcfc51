"""What a token step reads in each form and width: from shapes, and from arrays that are shaped
but never computed. Knows layers; measures no time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from mlx_t2.svf import Form, matrix_bytes, round_change
from mlx_t2.svf import SingularVectors as Vectors

WAYS: tuple[tuple[Form, int], ...] = (
    ("live", 16),
    ("live", 8),
    ("live", 4),
    ("folded", 16),
    ("folded", 8),
    ("beside", 16),
    ("beside", 8),
    ("beside", 4),
)
"""(form, bits) of what is read beside the base: q, W' or M."""
_HALF = 2
"""Bytes of a number in the dtype of the activations: bfloat16."""


@dataclass(frozen=True)
class Shape:
    """One weight of a 4-bit base."""

    out: int
    inner: int

    @property
    def n(self) -> int:
        """The smaller side."""
        return min(self.out, self.inner)

    @property
    def entries(self) -> int:
        """Numbers of the weight."""
        return self.out * self.inner


BIG = Shape(14336, 4096)
"""An MLP weight of an 8B llama."""


def count_quantised(entries: float, bits: int, group: int = 64) -> float:
    """Bytes of affine entries: with a scale and a bias of 16 bits per group.

    >>> count_quantised(64, 4)
    36.0
    """
    return entries * (bits / 8 + 2 * _HALF / group)


def count_bytes(shape: Shape, form: Form, bits: int) -> float:
    """What a token step reads for one weight in this form, the 4-bit base among it."""
    base = count_quantised(shape.entries, 4)
    if form == "folded":
        return _HALF * shape.entries if bits == 16 else count_quantised(shape.entries, bits)
    if form == "beside":
        return base + matrix_bytes(shape.n, bits, _HALF)
    square, group = shape.n**2, 64 if bits == 4 else 128
    q = _HALF * square if bits == 16 else count_quantised(square, bits, group)
    return base + 2 * q  # once for qᵀ y, once for q c


def count_all(shapes: Sequence[Shape], rest: float, form: Form, bits: int) -> float:
    """What a token step reads of a model whose other weights take `rest` bytes."""
    return rest + sum(count_bytes(shape, form, bits) for shape in shapes)


def measure_bytes(shape: Shape, form: Form, bits: int) -> int:
    """`count_bytes` of the arrays themselves, which are not computed for it."""
    square = mx.zeros((shape.n, shape.n))
    if form == "folded":
        return _size(_quantise(shape, bits) if bits < 16 else _half(shape))
    base = _size(_quantise(shape, 4))
    if form == "beside":
        return base + _size(round_change(square, bits, mx.bfloat16))
    q = Vectors((square,)).to_bits(bits)
    parts = [p if p.dtype != mx.float32 else p.astype(mx.bfloat16) for p in q.parts]
    return base + 2 * sum(part.nbytes for part in parts)


def _half(shape: Shape) -> nn.Linear:
    layer: Any = nn.Linear(1, 1, bias=False)
    layer.weight = mx.zeros((shape.out, shape.inner), mx.bfloat16)
    return layer


def _quantise(shape: Shape, bits: int) -> nn.Module:
    return _half(shape).to_quantized(64, bits)


def _size(layer: nn.Module) -> int:
    return sum(part.nbytes for part in layer.values() if isinstance(part, mx.array))


def shapes_of_llama(hidden: int, intermediate: int, layers: int) -> Iterator[Shape]:
    """Its MLP weights."""
    for _ in range(layers):
        yield from (Shape(intermediate, hidden),) * 2
        yield Shape(hidden, intermediate)
