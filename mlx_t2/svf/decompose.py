"""W → its singular vectors on the smaller side. Pure functions on arrays; knows no layers.

Since Uᵀ W = diag(s) Vᵀ, one square orthogonal matrix q is enough to scale singular values:

    out ≤ in:   W' = q diag(z) qᵀ W,   q = U  (eigenvectors of W Wᵀ)
    in < out:   W' = W q diag(z) qᵀ,   q = V  (eigenvectors of Wᵀ W)

Differs (1) from the reference, which keeps U, s and V of a float32 SVD: the symmetric
eigenproblem of the Gram matrix is smaller, and in float64 more accurate (self-adaptive-llms:
utils.py, decompose).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import mlx.core as mx
from jaxtyping import Float

from .vectors import Vectors

Side = Literal["left", "right"]
"""`left`: q = U, for out ≤ in. `right`: q = V, for in < out."""
SIDES = get_args(Side)


Precision = Literal["float64", "float32"]
"""Of the Gram matrix and its eigenvectors; the basis is float32 in the end."""
PRECISIONS = get_args(Precision)


@dataclass(frozen=True)
class Basis:
    """The kept singular vectors of one weight, or of a stack of weights."""

    side: Side
    q: Vectors
    """Orthonormal columns (*stack, n, rank), largest singular value first; n = min(out, in)."""
    s: Float[mx.array, "*stack rank"]
    """Singular values, descending."""

    @property
    def nbytes(self) -> int:
        """Of q and s."""
        return self.q.nbytes + self.s.nbytes


def decompose_weight(
    weight: Float[mx.array, "*stack out inner"],
    stream: mx.Stream | mx.DeviceType = mx.cpu,
    rank: int | None = None,
    precision: Precision = "float64",
) -> Basis:
    """The basis of one weight, or of each of a stack, lazily: nothing is computed before it is
    evaluated.

    Gram matrix and eigenvectors are float64, which only CPU streams have. The sign of each
    column is fixed (its largest entry is positive), so an expert means the same on every
    machine.

    rank: how many columns to keep, largest singular value first; all when None.
    precision: float32 takes some two thirds of the time, and loses the vectors of singular
        values some thousand times smaller than the first; an expert made under one does not
        fit the other.
    """
    if weight.ndim == 3:
        return stacked([decompose_weight(w, stream, rank, precision) for w in weight])
    side: Side = "left" if weight.shape[0] <= weight.shape[1] else "right"
    w = weight.astype(_DTYPES[precision], stream=stream)
    kept = slice(None, None, -1) if rank is None else slice(-1, -rank - 1, -1)
    with mx.stream(stream):
        gram = _lower_gram(w if side == "left" else w.T)
        values, vectors = mx.linalg.eigh(gram, UPLO="L", stream=stream)
        q, s = vectors[:, kept], mx.sqrt(mx.maximum(values[kept], 0))
        largest = mx.take_along_axis(q, mx.argmax(mx.abs(q), axis=0, keepdims=True), axis=0)
        q = mx.where(largest < 0, -q, q)
        return Basis(side, Vectors((q.astype(mx.float32),)), s.astype(mx.float32))


def _lower_gram(w: Float[mx.array, "n m"], panels: int = 3) -> Float[mx.array, "n n"]:
    """W Wᵀ, of which only the blocks that the lower triangle needs are computed."""
    n = w.shape[0]
    edges = [n * i // panels for i in range(panels + 1)]
    rows = [
        mx.pad(w[start:end] @ w[:end].T, [(0, 0), (0, n - end)])
        for start, end in pairwise(edges)
        if end > start
    ]
    return mx.concatenate(rows)


_DTYPES = {"float64": mx.float64, "float32": mx.float32}


def stacked(bases: list[Basis]) -> Basis:
    """Bases of the matrices of one stack → one basis of the stack; the arrays are float."""
    q = mx.stack([basis.q.parts[0] for basis in bases])
    return Basis(bases[0].side, Vectors((q,)), mx.stack([basis.s for basis in bases]))
