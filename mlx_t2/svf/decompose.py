"""W → its singular vectors on the smaller side. Pure functions on arrays; knows no layers.

Since Uᵀ W = diag(s) Vᵀ, one square orthogonal matrix q is enough to scale singular values:

    out ≤ in:   W' = q diag(z) qᵀ W,   q = U  (eigenvectors of W Wᵀ)
    in < out:   W' = W q diag(z) qᵀ,   q = V  (eigenvectors of Wᵀ W)

Differs (1) from the reference, which keeps U, s and V of a float32 SVD: the symmetric
eigenproblem of the Gram matrix is smaller, and in float64 more accurate (self-adaptive-llms:
utils.py, decompose).
"""

from dataclasses import dataclass
from typing import Literal

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ModelError

Side = Literal["left", "right"]
"""`left`: q = U, for out ≤ in. `right`: q = V, for in < out."""


@dataclass(frozen=True)
class Basis:
    """The kept singular vectors of one weight."""

    side: Side
    q: Float[mx.array, "n rank"]
    """Orthonormal columns, largest singular value first; n = min(out, in)."""
    s: Float[mx.array, " rank"]
    """Singular values, descending."""


def decompose_weight(
    weight: Float[mx.array, "out inner"],
    stream: mx.Stream | mx.DeviceType = mx.cpu,
    rank: int | None = None,
) -> Basis:
    """The basis of one weight, lazily: nothing is computed before it is evaluated.

    Gram matrix and eigenvectors are float64, which only CPU streams have. The sign of each
    column is fixed (its largest entry is positive), so an expert means the same on every
    machine.

    rank: how many columns to keep, largest singular value first; all when None.
    """
    side: Side = "left" if weight.shape[0] <= weight.shape[1] else "right"
    w = weight.astype(mx.float64, stream=stream)
    wt = mx.transpose(w, stream=stream)
    gram = (
        mx.matmul(w, wt, stream=stream) if side == "left" else mx.matmul(wt, w, stream=stream)
    )
    values, vectors = mx.linalg.eigh(gram, stream=stream)
    kept = slice(None, None, -1) if rank is None else slice(-1, -rank - 1, -1)
    with mx.stream(stream):
        q, s = vectors[:, kept], mx.sqrt(mx.maximum(values[kept], 0))
        largest = mx.take_along_axis(q, mx.argmax(mx.abs(q), axis=0, keepdims=True), axis=0)
        q = mx.where(largest < 0, -q, q)
        return Basis(side, q.astype(mx.float32), s.astype(mx.float32))


def check_finite(path: str, weight: mx.array) -> None:
    """Raise ModelError for NaN or infinite entries: LAPACK would fail on another thread."""
    if not mx.all(mx.isfinite(weight)).item():
        raise ModelError(
            f"{path}: the weight has NaN or infinite entries, expected finite ones"
        )
