"""The paper's equation as layers. With W = U diag(s) Vᵀ frozen and z learned, a layer computes

    y = W' x,    W' = U diag(s ⊙ z) Vᵀ

without ever forming W'. Only the singular vectors of the smaller side, q, are kept beside the
untouched base layer:

    out ≤ in,  q = U:   W' = q diag(z) qᵀ W     y = y₀ + q ((z − 1) ⊙ (qᵀ y₀)),  y₀ = W x
    in < out,  q = V:   W' = W q diag(z) qᵀ     y = W (x + q ((z − 1) ⊙ (qᵀ x)))

Each layer knows one weight, or one stack of weights; none knows a model or an expert.

Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.1.
Differs (2): the reference recomposes W' from U, s ⊙ z and V. Here the base stays as it is, even
quantised, and z = 1 is the base layer, bit for bit.
"""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from jaxtyping import Float, Integer

from mlx_t2.errors import ModelError

from .base_layer import (
    BaseLayer,
    Linear,
    Multi,
    Switch,
    activation_dtype,
    dense_weight,
    weight_shape,
)
from .decompose import Basis, Side
from .singular_vectors import SingularVectors


class SVFLayer(nn.Module):
    """What the three layers below have in common: a base, its basis, and z to wear.

    Without z the layer is the base layer. z stays float32 whatever the base computes in.

    Shapes: q (*stack, min(out, in), rank), z (*stack, rank), or (rows, *stack, rank) with one z
    per row of the batch; the stack is the experts of a switch layer or the heads of a
    multi-linear one.
    """

    def __init__(self, base: BaseLayer, basis: Basis, bits: int | None = None):
        """bits: per entry of q, 32, 16, 8 or 4; None is the dtype that the base computes in."""
        super().__init__()
        self.base: Any = base  # each class of base is called in its own way
        self.side: Side = basis.side
        self.dtype = activation_dtype(base)
        self.out, self.inner = weight_shape(base)[-2:]
        self._bits = bits
        self.hold(basis)

    def hold(self, basis: Basis) -> None:
        """Keep q from now on as `basis` has it: one that is on disk is read when it is used."""
        # The leading underscores keep q and z out of the parameters that mlx-lm saves and
        # freezes.
        q, bits = basis.q, self._bits
        self._q = q.to_dtype(self.dtype) if bits is None else q.to_bits(bits)

    @property
    def rank(self) -> int:
        """How many singular values z scales, per matrix."""
        return self._q.rank

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of z for one row: (rank,), (experts, rank) or (heads, rank)."""
        return (*self._q.stack, self.rank)

    @property
    def basis_bytes(self) -> int:
        """Bytes of q as it is kept here."""
        return self._q.nbytes

    @property
    def q(self) -> SingularVectors:
        """The singular vectors as they are kept here."""
        return self._q

    @property
    def z(self) -> Float[mx.array, "*rows_and_stack {self.rank}"] | None:
        """The scales now worn; None is the base layer."""
        return self.get("_z")

    @property
    def has_rows(self) -> bool:
        """Whether each row of the batch wears its own scales."""
        z = self.z
        return z is not None and z.ndim > len(self.shape)

    def wear(self, z: Float[mx.array, "*rows_and_stack {self.rank}"] | None) -> None:
        """Put scales on, or take them off with None."""
        self.pop("_z", None)
        if z is not None:
            self["_z"] = z

    def folded_weight(self) -> Float[mx.array, "*stack {self.out} {self.inner}"]:
        """W' itself, in float32."""
        dense = dense_weight(self.base)
        if self.z is None:
            return dense
        left, right = self.factor_change()
        return dense + left @ right

    def factor_change(
        self,
    ) -> tuple[
        Float[mx.array, "*stack {self.out} {self.rank}"],
        Float[mx.array, "*stack {self.rank} {self.inner}"],
    ]:
        """(left, right) with W' − W = left · right, in float32: one term per singular value, in
        the order of z, and of the length |z − 1| s. Without z, every term is 0.
        """
        z, q, dense = self.z, self._q.dense(), dense_weight(self.base)
        deviation = mx.zeros(self.shape) if z is None else z - 1
        scaled, qt = q * deviation[..., None, :], q.swapaxes(-1, -2)
        if self.side == "left":
            return scaled, qt @ dense
        return dense @ scaled, qt

    def _shift(
        self,
        h: Float[mx.array, "*#batch n"],
        deviation: Float[mx.array, "*#batch {self.rank}"],
        at: Integer[mx.array, "*at"] | None = None,
    ) -> Float[mx.array, "*#batch n"]:
        """q (deviation ⊙ (qᵀ h)): what scaling by z = 1 + deviation adds to h, in h's dtype."""
        return self._q.back(deviation * self._q.into(h, at), at).astype(h.dtype)


class SVFLinear(SVFLayer):
    """A linear layer whose singular values are scaled: one weight, one z."""

    def __call__(
        self, x: Float[mx.array, "*batch {self.inner}"]
    ) -> Float[mx.array, "*batch {self.out}"]:
        z = self.z
        if z is None:
            return self.base(x)
        if self.side == "right":
            return self.base(x + self._shift(x, self._deviation(z, x)))
        y = self.base(x)
        plain = y - self.base.bias if "bias" in self.base else y
        return y + self._shift(plain, self._deviation(z, y))

    def _deviation(self, z: mx.array, h: mx.array) -> mx.array:
        """z − 1 in h's dtype, in a shape that meets each row of h with its own z."""
        deviation = (z - 1).astype(h.dtype)
        if deviation.ndim == 1:
            return deviation
        _check_rows(deviation.shape[0], h.shape, flat_ndim=2)
        # Some layers see (rows · tokens, n): row-major, as reshaping leaves it.
        deviation = mx.repeat(deviation, h.shape[0] // deviation.shape[0], axis=0)
        return deviation.reshape(h.shape[0], *[1] * (h.ndim - 2), self.rank)


class SVFSwitchLinear(SVFLayer):
    """The experts of a mixture-of-experts layer, each with singular values and a z of its own.

    `indices` says which expert each entry of x goes to. Where rows wear their own scales, an
    entry needs the z of its expert *and* of its row, but with many tokens mlx-lm sorts entries
    by expert first, and their rows are lost. The block around the layer therefore notes the
    order (see `moe_block`), from which the row is found again:

        before the sort     expert   2  0  1  0       row  0  0  1  1    (entry // 2)
        order = argsort              1  3  2  0       which entry is now in this place
        what the layer sees expert   0  0  1  2       row  0  1  1  0    (order // 2)
    """

    def __call__(
        self,
        x: Float[mx.array, "*#at 1 {self.inner}"],
        indices: Integer[mx.array, "*#at"],
        sorted_indices: bool = False,
    ) -> Float[mx.array, "*at 1 {self.out}"]:
        z = self.z
        if z is None:
            return self.base(x, indices, sorted_indices=sorted_indices)
        deviation = self._deviation(z.astype(mx.float32), indices, sorted_indices)
        deviation = deviation.astype(x.dtype)
        if self.side == "right":
            # Tokens that enter a block: one for all its experts, even where that is one expert.
            one_expert = indices.ndim > 1 and indices.shape[-1] == 1
            enters_block = one_expert or x.shape[:-2] != indices.shape
            x = x + self._shift(x, deviation, indices)
            if enters_block:
                # Make the axis of one token anew, as mlx-lm does: MLX's CPU backend picks its
                # kernel by the strides, and with z = 1 the same one has to be picked.
                x = mx.expand_dims(x.squeeze(-2), -2)
            return self.base(x, indices, sorted_indices=sorted_indices)
        y = self.base(x, indices, sorted_indices=sorted_indices)
        bias = self.base.get("bias")
        plain = y if bias is None else y - mx.expand_dims(bias[indices], -2)
        return y + self._shift(plain, deviation, indices)

    def check_rows(self, indices: Integer[mx.array, "*at"]) -> None:
        """Raise ModelError where the batch does not have the rows that wear scales.

        indices: (rows, …, experts per token), or (rows · tokens, experts per token).
        """
        z = self.z
        if z is not None and self.has_rows:
            _check_rows(z.shape[0], indices.shape, flat_ndim=2)

    def note_order(self, order: Integer[mx.array, " entries"] | None) -> None:
        """Remember what the block around this layer sorts by; None when it has finished."""
        self.pop("_sorted_from", None)
        if order is not None:
            self["_sorted_from"] = order

    def _deviation(
        self, z: mx.array, indices: Integer[mx.array, "*at"], is_sorted: bool
    ) -> Float[mx.array, "*at 1 {self.rank}"]:
        """z − 1 of the expert, and of the row, of each entry."""
        if self.has_rows:
            rows, experts = z.shape[:2]
            order = self._order(indices, is_sorted)
            row = (order // (indices.size // rows)).reshape(indices.shape)
            z, indices = z.reshape(rows * experts, -1), row * experts + indices
        return mx.expand_dims((z - 1)[indices], -2)

    def _order(
        self, indices: Integer[mx.array, "*at"], is_sorted: bool
    ) -> Integer[mx.array, " entries"]:
        """Where each entry was before the sort, counted row by row."""
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


class SVFMultiLinear(SVFLayer):
    """The per-head projections of multi-head latent attention, used from either side.

    With `transpose`, x Wᵀ per head: n = in, m = out; without, x W: n = out, m = in. One x for
    all heads is broadcast.
    """

    def __call__(
        self, x: Float[mx.array, "*#batch tokens n"], transpose: bool = True
    ) -> Float[mx.array, "*#batch tokens m"]:
        z = self.z
        if z is None:
            return self.base(x, transpose)
        if self.has_rows:
            _check_rows(z.shape[0], x.shape)
        deviation = mx.expand_dims(z - 1, -2).astype(x.dtype)
        # q is on one side of W; which side x meets depends on the call
        if (self.side == "right") == transpose:
            return self.base(x + self._shift(x, deviation), transpose)
        y = self.base(x, transpose)
        return y + self._shift(y, deviation)


def _check_rows(rows: int, shape: tuple[int, ...], flat_ndim: int | None = None) -> None:
    """Raise ModelError where a batch of that shape does not have `rows` rows.

    flat_ndim: with this many axes, the first one may hold rows and tokens together.
    """
    if len(shape) < 2 or (shape[0] != rows and (len(shape) != flat_ndim or shape[0] % rows)):
        raise ModelError(
            f"a layer got a batch of shape {shape}, expected {rows} rows, which wear their own "
            "scales: this architecture regroups rows, or the batch is another one. Give all "
            "rows the same scales"
        )


def svf_layer(base: BaseLayer, basis: Basis, bits: int | None = None) -> SVFLayer:
    """The layer that gives `base` scales to wear."""
    if isinstance(base, Linear):
        return SVFLinear(base, basis, bits)
    if isinstance(base, Switch):
        return SVFSwitchLinear(base, basis, bits)
    assert isinstance(base, Multi)
    return SVFMultiLinear(base, basis, bits)
