"""A linear layer wearing singular value scales. Knows one weight; no model and no expert."""

import mlx.core as mx
import mlx.nn as nn
from jaxtyping import Float

from .decompose import Basis


class SVFLinear(nn.Module):
    """A linear layer whose singular values are scaled by a vector `z`.

    With W = U diag(s) Vᵀ frozen, computes y = x W'ᵀ + b where

        W' = U diag(s ⊙ z) Vᵀ.

    Only the singular vectors of the smaller side, q, are kept beside the untouched base layer:

        out ≤ in:   y = y₀ + q ((z − 1) ⊙ (qᵀ y₀)),   y₀ = W x          (q = U)
        in < out:   y = W (x + q ((z − 1) ⊙ (qᵀ x)))                     (q = V)

    Without z the layer is the base layer, bit for bit, quantised or not. The correction is
    computed in the dtype of the activations; z itself stays float32.

    Shapes: W (out, in), q (min(out, in), rank), z (rank,) or (rows, rank) with one z a row of
    the batch.
    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.1.
    Differs (2): the weights are never recomposed to be used, so the base may stay quantised.
    """

    def __init__(self, base: nn.Linear | nn.QuantizedLinear, basis: Basis):
        super().__init__()
        self.base = base
        self.side = basis.side
        dtype = base.scales.dtype if isinstance(base, nn.QuantizedLinear) else base.weight.dtype
        if not mx.issubdtype(dtype, mx.floating):
            dtype = mx.bfloat16  # the scales of mxfp4 and its like are bare exponents
        # The leading underscore keeps q and z out of the parameters that mlx-lm saves and
        # freezes.
        self._q = basis.q.astype(dtype)

    @property
    def rank(self) -> int:
        """Length of z."""
        return self._q.shape[1]

    @property
    def dtype(self) -> mx.Dtype:
        """Of the activations."""
        return self._q.dtype

    @property
    def z(self) -> mx.array | None:
        """The scales now worn; None is the base layer."""
        return self.get("_z")

    def wear(self, z: mx.array | None) -> None:
        """Put scales on, or take them off with None."""
        self.pop("_z", None)
        if z is not None:
            self["_z"] = z

    def __call__(self, x: mx.array) -> mx.array:
        z = self.z
        if z is None:
            return self.base(x)
        if self.side == "right":
            return self.base(x + self._scaled(x, z))
        y = self.base(x)
        return y + self._scaled(y - self.base.bias if "bias" in self.base else y, z)

    def _scaled(
        self, h: Float[mx.array, "*batch n"], z: Float[mx.array, "*rows rank"]
    ) -> Float[mx.array, "*batch n"]:
        """q ((z − 1) ⊙ (qᵀ h)): what scaling adds to h."""
        change = (z - 1).astype(h.dtype)
        if change.ndim == 2:
            change = change.reshape(change.shape[0], *[1] * (h.ndim - 2), change.shape[1])
        return ((h @ self._q) * change) @ self._q.T

    def folded_weight(
        self, dense: Float[mx.array, "out inner"]
    ) -> Float[mx.array, "out inner"]:
        """W' itself, in float32, from the base weight as a dense float32 matrix."""
        q = self._q.astype(mx.float32)
        z = self.z
        if z is None:
            return dense
        if self.side == "left":
            return dense + ((q * (z - 1)) @ (q.T @ dense))
        return dense + ((dense @ q) * (z - 1)) @ q.T
