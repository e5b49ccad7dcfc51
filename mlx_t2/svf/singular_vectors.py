"""The kept singular vectors q, as they are stored, and the two products they are for.

Knows how columns, or a stack of such matrices, are stored in 32, 16, 8 or 4 bits; does not know
weights.
"""

from dataclasses import dataclass

import mlx.core as mx
from jaxtyping import Float, Integer

BITS = (32, 16, 8, 4)
"""What an entry of q may take."""


@dataclass(frozen=True, eq=False)
class SingularVectors:
    """Orthonormal columns q (*stack, n, rank), as one float array or quantised."""

    parts: tuple[mx.array, ...]
    """(q,), or (packed, scales, biases) of mx.quantize along the last axis."""
    packed_bits: int = 8
    """Per entry of quantised columns: 8 or 4."""

    @property
    def n(self) -> int:
        """How many entries a column has."""
        return self.parts[0].shape[-2]

    @property
    def rank(self) -> int:
        """How many columns there are."""
        return self.parts[0].shape[-1] * (32 // self.packed_bits if self.is_packed else 1)

    @property
    def stack(self) -> tuple[int, ...]:
        """(experts,) or (heads,) of a stack, () of one matrix."""
        return self.parts[0].shape[:-2]

    @property
    def nbytes(self) -> int:
        """Bytes of all parts."""
        return sum(part.nbytes for part in self.parts)

    def to_bits(self, bits: int) -> "SingularVectors":
        """The same columns in `bits` per entry.

        8 and 4 bits need a rank that is a multiple of 32; other ranks get 16. 16 bits are
        bfloat16, unless the columns are float16 already. Quantised columns stay as they are.
        """
        if self.is_packed:
            return self
        q = self.parts[0]
        sizes = {8: (128, 64, 32), 4: (64, 32)}.get(bits, ())
        if block := next((size for size in sizes if q.shape[-1] % size == 0), None):
            return SingularVectors(tuple(mx.quantize(q.astype(mx.float32), block, bits)), bits)
        if bits == 32:
            return SingularVectors((q.astype(mx.float32),))
        return self if q.dtype == mx.float16 else SingularVectors((q.astype(mx.bfloat16),))

    def to_dtype(self, dtype: mx.Dtype) -> "SingularVectors":
        """Float columns in another dtype; quantised ones as they are."""
        return self if self.is_packed else SingularVectors((self.parts[0].astype(dtype),))

    def dense(self) -> Float[mx.array, "*stack n rank"]:
        """The columns in float32."""
        if not self.is_packed:
            return self.parts[0].astype(mx.float32)
        packed, scales, biases = self.parts
        return mx.dequantize(packed, scales, biases, self._block, self.packed_bits)

    def into(
        self, h: Float[mx.array, "*#batch {self.n}"], at: Integer[mx.array, "*at"] | None = None
    ) -> Float[mx.array, "*#batch {self.rank}"]:
        """h q: coordinates in the basis; `at` names the matrix of a stack for each entry."""
        return self._product(h, at, transpose=False)

    def back(
        self,
        c: Float[mx.array, "*#batch {self.rank}"],
        at: Integer[mx.array, "*at"] | None = None,
    ) -> Float[mx.array, "*#batch {self.n}"]:
        """c qᵀ: from coordinates back."""
        return self._product(c, at, transpose=True)

    @property
    def is_packed(self) -> bool:
        """Quantised."""
        return len(self.parts) == 3

    @property
    def _block(self) -> int:
        """How many entries share one scale."""
        return self.rank // self.parts[1].shape[-1]

    def _product(self, h: mx.array, at: mx.array | None, transpose: bool) -> mx.array:
        if not self.is_packed:
            q = self.parts[0].swapaxes(-1, -2) if transpose else self.parts[0]
            return h @ q if at is None else _gather_product(h, q, at)
        packed, scales, biases = self.parts
        scales, biases = scales.astype(h.dtype), biases.astype(h.dtype)
        if at is None:
            return mx.quantized_matmul(
                *(h, packed, scales, biases, transpose),
                group_size=self._block,
                bits=self.packed_bits,
            )
        return mx.gather_qmm(
            h,
            packed,
            scales,
            biases,
            rhs_indices=at,
            transpose=transpose,
            group_size=self._block,
            bits=self.packed_bits,
        )


def _gather_product(h: mx.array, q: mx.array, at: mx.array) -> mx.array:
    """h q with the matrix of a stack that `at` names; MLX's CPU backend has float32 only."""
    if mx.default_device() == mx.Device(mx.cpu):
        h, q = h.astype(mx.float32), q.astype(mx.float32)
    return mx.gather_mm(h, q, rhs_indices=at)
