"""The kept singular vectors q, as they are stored, and the two products they are for.

Knows how columns, or a stack of such matrices, are kept in 32, 16 or 8 bits; knows no weights.
"""

from dataclasses import dataclass

import mlx.core as mx
from jaxtyping import Float, Integer

BITS = (32, 16, 8)
"""What an entry of q may take."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Orthonormal columns: q (*stack, n, rank), as one array of floats or as 8-bit groups."""

    parts: tuple[mx.array, ...]
    """(q,), or (packed, scales, biases) of mx.quantize along the columns' index."""

    @property
    def rank(self) -> int:
        """How many columns."""
        return self.parts[0].shape[-1] * (4 if self._is_packed else 1)

    @property
    def stack(self) -> tuple[int, ...]:
        """(experts,) or (heads,) of a stack, () of one matrix."""
        return self.parts[0].shape[:-2]

    @property
    def nbytes(self) -> int:
        """Of all parts."""
        return sum(part.nbytes for part in self.parts)

    def stored(self, bits: int) -> "Vectors":
        """The same columns in so many bits.

        8 bits need a rank that 32 divides; 16 are kept for another. Sixteen-bit columns stay
        what they are: float16 or bfloat16.
        """
        if self._is_packed:
            return self
        q = self.parts[0]
        group = next((g for g in (128, 64, 32) if q.shape[-1] % g == 0), None)
        if bits == 8 and group:
            return Vectors(tuple(mx.quantize(q.astype(mx.float32), group, 8)))
        if bits == 32:
            return Vectors((q.astype(mx.float32),))
        return self if q.dtype == mx.float16 else Vectors((q.astype(mx.bfloat16),))

    def in_dtype(self, dtype: mx.Dtype) -> "Vectors":
        """Float columns in another type; 8-bit ones as they are."""
        return self if self._is_packed else Vectors((self.parts[0].astype(dtype),))

    def dense(self) -> Float[mx.array, "*stack n rank"]:
        """The columns in float32."""
        if not self._is_packed:
            return self.parts[0].astype(mx.float32)
        packed, scales, biases = self.parts
        return mx.dequantize(packed, scales, biases, self._group, 8)

    def into(
        self, h: Float[mx.array, "*batch n"], at: Integer[mx.array, "*at"] | None = None
    ) -> Float[mx.array, "*to rank"]:
        """h q: coordinates in the basis; `at` names the matrix of a stack for each entry."""
        return self._product(h, at, transpose=False)

    def back(
        self, c: Float[mx.array, "*batch rank"], at: Integer[mx.array, "*at"] | None = None
    ) -> Float[mx.array, "*to n"]:
        """c qᵀ: from coordinates back."""
        return self._product(c, at, transpose=True)

    @property
    def _is_packed(self) -> bool:
        return len(self.parts) == 3

    @property
    def _group(self) -> int:
        return self.rank // self.parts[1].shape[-1]

    def _product(self, h: mx.array, at: mx.array | None, transpose: bool) -> mx.array:
        if not self._is_packed:
            q = self.parts[0].swapaxes(-1, -2) if transpose else self.parts[0]
            return h @ q if at is None else _gathered(h, q, at)
        packed, scales, biases = self.parts
        scales, biases = scales.astype(h.dtype), biases.astype(h.dtype)
        if at is None:
            return mx.quantized_matmul(
                h, packed, scales, biases, transpose, group_size=self._group, bits=8
            )
        return mx.gather_qmm(
            h,
            packed,
            scales,
            biases,
            rhs_indices=at,
            transpose=transpose,
            group_size=self._group,
            bits=8,
        )


def _gathered(h: mx.array, q: mx.array, at: mx.array) -> mx.array:
    """h q with the matrix of a stack that `at` names; MLX's CPU backend has float32 only."""
    if mx.default_device() == mx.Device(mx.cpu):
        h, q = h.astype(mx.float32), q.astype(mx.float32)
    return mx.gather_mm(h, q, rhs_indices=at)
