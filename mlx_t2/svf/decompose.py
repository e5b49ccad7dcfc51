"""W = U diag(s) Vᵀ → its singular vectors on the smaller side. Pure functions on arrays; does
not know layers.

Since Uᵀ W = diag(s) Vᵀ, one square orthogonal matrix q is enough to scale singular values:

    out ≤ in:   W' = U diag(s ⊙ z) Vᵀ = q diag(z) qᵀ W,   q = U  (eigenvectors of W Wᵀ)
    in < out:   W' = U diag(s ⊙ z) Vᵀ = W q diag(z) qᵀ,   q = V  (eigenvectors of Wᵀ W)

Differs (1): the reference keeps U, s and V of a float32 SVD (self-adaptive-llms: utils.py,
decompose). The symmetric eigenproblem of the Gram matrix is smaller, and in float64 more
accurate.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import mlx.core as mx
from jaxtyping import Float

from .singular_vectors import SingularVectors

Side = Literal["left", "right"]
"""`left`: q = U, for out ≤ in. `right`: q = V, for in < out."""
SIDES = get_args(Side)

Precision = Literal["float64", "float32"]
"""What the Gram matrix and its eigenvectors are computed in; the basis is float32 anyway."""
PRECISIONS = get_args(Precision)


_DTYPES: dict[Precision, mx.Dtype] = {"float64": mx.float64, "float32": mx.float32}


@dataclass(frozen=True)
class Basis:
    """The kept singular vectors of one weight, or of a stack of weights."""

    side: Side
    q: SingularVectors
    """Orthonormal columns (*stack, n, rank), largest singular value first; n = min(out, in)."""
    s: Float[mx.array, "*stack rank"]
    """Singular values, descending."""

    @property
    def nbytes(self) -> int:
        """Bytes of q and s."""
        return self.q.nbytes + self.s.nbytes


def decompose_weight(
    weight: Float[mx.array, "*stack out inner"],
    stream: mx.Stream | mx.DeviceType = mx.cpu,
    rank: int | None = None,
    precision: Precision = "float64",
) -> Basis:
    """The basis of one weight, or of each weight of a stack; lazy, like every MLX array.

    Gram matrix and eigenvectors are float64, which only CPU streams have. The sign of each
    column is fixed (its largest entry is positive), so an expert means the same on every
    machine.

    >>> w = mx.array([[3.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    >>> basis = decompose_weight(w)
    >>> basis.side, basis.s
    ('left', array([3, 2], dtype=float32))
    >>> q, z = basis.q.dense(), mx.array([10.0, 1.0])
    >>> (q * z) @ q.T @ w  # W' = q diag(z) qᵀ W = U diag(s ⊙ z) Vᵀ
    array([[30, 0, 0],
           [0, 0, 2]], dtype=float32)

    rank: how many columns to keep, largest singular value first; all when None.
    precision: float32 takes about two thirds of the time, and loses the vectors of singular
        values a thousand times smaller than the first. An expert trained under one precision
        does not fit the other.
    """
    if weight.ndim == 3:
        return stack_bases([decompose_weight(w, stream, rank, precision) for w in weight])
    side: Side = "left" if weight.shape[0] <= weight.shape[1] else "right"
    w = weight.astype(_DTYPES[precision], stream=stream)
    n = min(weight.shape)
    kept = slice(None, None, -1) if rank is None or rank >= n else slice(-1, -rank - 1, -1)
    with mx.stream(stream):
        gram = _lower_gram(w if side == "left" else w.T)
        values, vectors = mx.linalg.eigh(gram, UPLO="L", stream=stream)
        q, s = vectors[:, kept], mx.sqrt(mx.maximum(values[kept], 0))
        largest = mx.take_along_axis(q, mx.argmax(mx.abs(q), axis=0, keepdims=True), axis=0)
        q = mx.where(largest < 0, -q, q)
        return Basis(side, SingularVectors((q.astype(mx.float32),)), s.astype(mx.float32))


def _lower_gram(w: Float[mx.array, "n m"], panels: int = 3) -> Float[mx.array, "n n"]:
    """W Wᵀ, right only in its lower triangle: the blocks above are not computed.

    With 3 panels, 6 products of 9, the others zeros:

        W₀W₀ᵀ    0      0
        W₁W₀ᵀ  W₁W₁ᵀ    0
        W₂W₀ᵀ  W₂W₁ᵀ  W₂W₂ᵀ
    """
    n = w.shape[0]
    edges = [n * i // panels for i in range(panels + 1)]
    blocks = [
        mx.pad(w[start:end] @ w[:end].T, [(0, 0), (0, n - end)])
        for start, end in pairwise(edges)
        if end > start
    ]
    return mx.concatenate(blocks)


def stack_bases(bases: list[Basis]) -> Basis:
    """One basis of a stack, from the float bases of its matrices."""
    q = mx.stack([basis.q.parts[0] for basis in bases])
    return Basis(bases[0].side, SingularVectors((q,)), mx.stack([basis.s for basis in bases]))
