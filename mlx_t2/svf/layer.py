"""Layers wearing singular value scales. Each knows one weight, or one stack of weights; none
knows a model or an expert.
"""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from jaxtyping import Float, Integer

from mlx_t2.errors import ModelError

from .base import BaseLayer, Linear, Multi, Switch, activation_dtype, dense_weight
from .decompose import Basis


class SVFLayer(nn.Module):
    """What the three layers below have in common: a base, a basis, and z to wear.

    With W = U diag(s) Vᵀ frozen, each computes with

        W' = U diag(s ⊙ z) Vᵀ

    in place of W. Only the singular vectors of the smaller side, q, are kept beside the
    untouched base layer:

        out ≤ in:   W' = q diag(z) qᵀ W        (q = U)
        in < out:   W' = W q diag(z) qᵀ        (q = V)

    Without z the layer is the base layer, bit for bit, quantised or not. z stays float32.

    Shapes: q (*stack, min(out, in), rank), z (*stack, rank), or (rows, *stack, rank) with one z
    a row of the batch; the stack is the experts of a switch layer or the heads of a
    multi-linear one.
    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.1.
    Differs (2): the weights are never recomposed to be used, so the base may stay quantised.
    """

    def __init__(self, base: BaseLayer, basis: Basis, bits: int | None = None):
        """bits: of an entry of q: 32, 16 or 8; None is the dtype that the base computes in."""
        super().__init__()
        self.base: Any = base  # each kind is called in its own way
        self.side = basis.side
        self.dtype = activation_dtype(base)
        # The leading underscores keep q and z out of the parameters that mlx-lm saves and
        # freezes.
        self._q = basis.q.in_dtype(self.dtype) if bits is None else basis.q.stored(bits)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of z: (rank,), (experts, rank) or (heads, rank)."""
        return (*self._q.stack, self._q.rank)

    @property
    def basis_bytes(self) -> int:
        """Of q as it is kept here."""
        return self._q.nbytes

    @property
    def z(self) -> mx.array | None:
        """The scales now worn; None is the base layer."""
        return self.get("_z")

    @property
    def has_rows(self) -> bool:
        """Each row of the batch wears its own scales."""
        z = self.z
        return z is not None and z.ndim > len(self.shape)

    def wear(self, z: mx.array | None) -> None:
        """Put scales on, or take them off with None."""
        self.pop("_z", None)
        if z is not None:
            self["_z"] = z

    def folded_weight(self) -> Float[mx.array, "*stack out inner"]:
        """W' itself, in float32."""
        dense, z, q = dense_weight(self.base), self.z, self._q.dense()
        if z is None:
            return dense
        change, qt = (q * (z - 1)[..., None, :]), q.swapaxes(-1, -2)
        if self.side == "left":
            return dense + change @ (qt @ dense)
        return dense + (dense @ change) @ qt

    def scaled(
        self,
        h: Float[mx.array, "*batch n"],
        change: Float[mx.array, "*shape rank"],
        at: Integer[mx.array, "*at"] | None = None,
    ) -> Float[mx.array, "*out n"]:
        """q (change ⊙ (qᵀ h)): what scaling by z = 1 + change adds to h, in h's dtype."""
        return self._q.back(change * self._q.into(h, at), at).astype(h.dtype)


class SVFLinear(SVFLayer):
    """A linear layer whose singular values are scaled.

    out ≤ in:   y = y₀ + q ((z − 1) ⊙ (qᵀ y₀)),   y₀ = W x
    in < out:   y = W (x + q ((z − 1) ⊙ (qᵀ x)))
    """

    def __call__(self, x: mx.array) -> mx.array:
        z = self.z
        if z is None:
            return self.base(x)
        if self.side == "right":
            return self.base(x + self.scaled(x, self._change(z, x)))
        y = self.base(x)
        plain = y - self.base.bias if "bias" in self.base else y
        return y + self.scaled(plain, self._change(z, y))

    def _change(self, z: mx.array, h: mx.array) -> mx.array:
        change = (z - 1).astype(h.dtype)
        if change.ndim == 1:
            return change
        _check_rows(change.shape[0], h.shape, kept=2)
        # Some layers see (rows · tokens, n): row-major, as reshaping leaves it.
        change = mx.repeat(change, h.shape[0] // change.shape[0], axis=0)
        return change.reshape(h.shape[0], *[1] * (h.ndim - 2), change.shape[1])


class SVFSwitchLinear(SVFLayer):
    """The experts of a mixture-of-experts layer, each with singular values and z of its own.

    x (…, 1, in) and indices (…): which expert each entry goes to.
    """

    def __call__(
        self, x: mx.array, indices: Integer[mx.array, "*at"], sorted_indices: bool = False
    ) -> mx.array:
        z = self.z
        if z is None:
            return self.base(x, indices, sorted_indices=sorted_indices)
        change = self._change(z.astype(mx.float32), indices, sorted_indices).astype(x.dtype)
        if self.side == "right":
            # The tokens as they come into a block, before each has a copy for every expert.
            is_spread = x.shape[:-2] != indices.shape or indices.shape[1:][-1:] == (1,)
            x = x + self.scaled(x, change, indices)
            if is_spread:
                # The axis of one token anew, as mlx-lm makes it: MLX's CPU backend picks its
                # kernel by the strides, and z = 1 is to be the base bit for bit.
                x = mx.expand_dims(x.squeeze(-2), -2)
            return self.base(x, indices, sorted_indices=sorted_indices)
        y = self.base(x, indices, sorted_indices=sorted_indices)
        bias = self.base.get("bias")
        plain = y if bias is None else y - mx.expand_dims(bias[indices], -2)
        return y + self.scaled(plain, change, indices)

    def _change(self, z: mx.array, indices: mx.array, is_sorted: bool) -> mx.array:
        """z − 1 of the expert, and of the row, behind each entry of `indices`: (…, 1, rank)."""
        if self.has_rows:
            rows, experts = z.shape[:2]
            order = self._order(indices, is_sorted)
            row = (order // (indices.size // rows)).reshape(indices.shape)
            z, indices = z.reshape(rows * experts, -1), row * experts + indices
        return mx.expand_dims((z - 1)[indices], -2)

    def _order(self, indices: mx.array, is_sorted: bool) -> mx.array:
        """Where each entry stood before mlx-lm sorted them by expert; row-major."""
        if not is_sorted:
            self.check_rows(indices)
            return mx.arange(indices.size)
        order = self.get("_sorted_from")
        if order is None:
            raise ModelError(
                f"{type(self.base).__name__}: this architecture sorts tokens by expert in a "
                "way of its own, expected SwitchGLU or SwitchMLP. Give all rows the same scales"
            )
        return order

    def check_rows(self, indices: mx.array) -> None:
        """Raise ModelError where the batch is not of the rows that wear scales.

        indices: (rows, …, experts a token), or (rows · tokens, experts a token).
        """
        z = self.z
        if z is not None and self.has_rows:
            _check_rows(z.shape[0], indices.shape, kept=2)

    def note_order(self, order: mx.array | None) -> None:
        """What the block around this layer is about to sort by; None when it is done."""
        self.pop("_sorted_from", None)
        if order is not None:
            self["_sorted_from"] = order


class SVFMultiLinear(SVFLayer):
    """The per-head projections of multi-head latent attention, used from either side.

    x (B, heads, T, in): x Wᵀ, or x W with x (B, heads, T, out) where `transpose` is off.
    """

    def __call__(self, x: mx.array, transpose: bool = True) -> mx.array:
        z = self.z
        if z is None:
            return self.base(x, transpose)
        if self.has_rows:
            _check_rows(z.shape[0], x.shape, kept=0)
        change = mx.expand_dims(z - 1, -2).astype(x.dtype)
        if (self.side == "right") == transpose:
            return self.base(x + self.scaled(x, change), transpose)
        y = self.base(x, transpose)
        return y + self.scaled(y, change)


def _check_rows(rows: int, shape: tuple[int, ...], kept: int) -> None:
    """Raise ModelError where a batch of that shape is not of so many rows.

    kept: with this many axes, rows and tokens may lie in one axis.
    """
    if len(shape) < 2 or (shape[0] != rows and (len(shape) != kept or shape[0] % rows)):
        raise ModelError(
            f"a layer saw a batch of shape {shape} where {rows} rows wear their own scales, "
            "expected that many rows: this architecture regroups them, or the batch is "
            "another. Give all rows the same scales"
        )


def svf_layer(base: BaseLayer, basis: Basis, bits: int | None = None) -> SVFLayer:
    """The layer that gives `base` scales to wear."""
    if isinstance(base, Linear):
        return SVFLinear(base, basis, bits)
    if isinstance(base, Switch):
        return SVFSwitchLinear(base, basis, bits)
    assert isinstance(base, Multi)
    return SVFMultiLinear(base, basis, bits)
