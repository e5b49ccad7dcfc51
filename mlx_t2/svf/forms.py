"""Live, beside or folded: the price of each form of wearing scales, and the cheapest one.

Pure functions of shapes and rates. Knows what layers cost; does not know models, and makes
nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import mlx.core as mx

from .base_layer import Quantised, weight_shape
from .layer import SVFLayer, SVFLinear, SVFMultiLinear
from .speed import Speed

Form = Literal["live", "beside", "folded"]
"""How scales are worn: `live`, by the layer's own products; as a matrix `beside` its weight; or
`folded` into it.
"""
FORMS: tuple[Form, ...] = ("live", "beside", "folded")
FEW_BITS = 4
"""Per entry of what is beside a quantised weight."""


@dataclass(frozen=True)
class Weight:
    """What the price of scales on one weight, or one stack of them, depends on."""

    out: int
    inner: int
    rank: int
    base_bytes: float
    """A matrix of the base as it is read."""
    basis_bytes: float
    """Its q as it is worn live."""
    entry_bytes: int
    """One number of what the layer computes in."""
    is_quantised: bool = False
    is_linear: bool = True
    """Not a stack: what is one matrix can be beside another."""
    matrices: int = 1
    used: int = 1
    """Matrices of a stack that a token meets."""

    @property
    def n(self) -> int:
        """The smaller side."""
        return min(self.out, self.inner)


@dataclass(frozen=True)
class Work:
    """What is to be done under one set of scales."""

    tokens: int = 0
    """Prompt tokens that are read under it."""
    steps: int = 0
    """Token steps after them."""
    rows: int = 1
    """Answers that are decoded together in each step."""
    experts: int = 1
    """Sets of scales among the rows of a batch; several can only be live."""
    is_made: bool = False
    """The matrices beside the weights are there already."""


@dataclass(frozen=True)
class Choice:
    """A form, and what it takes beyond what the base takes."""

    form: Form
    bits: int
    """Per entry of what is beside or folded; 16 is what the layers compute in."""
    seconds: float
    bytes: int
    """Memory that it needs beyond the base and its bases."""

    def __str__(self) -> str:
        return describe_form(self.form, self.bits)


def describe_form(form: Form, bits: int) -> str:
    """A form as a person reads it: 16 bits, what the layers compute in, are not worth a word.

    >>> describe_form("beside", 4), describe_form("folded", 16)
    ('beside, 4 bits', 'folded')
    """
    return form if bits == 16 else f"{form}, {bits} bits"


def choose_form(
    weights: Sequence[Weight],
    work: Work,
    speed: Speed,
    memory: float = math.inf,
    forms: Sequence[Form] = FORMS,
) -> Choice:
    """The cheapest form for the work; live in doubt, and where the others find no room.

    For one weight (out, in) with q (n, k), n = min(out, in), beyond what the base costs:

                  once                        per token      per token step, all rows together
        live      –                           4 n k ops      q read twice: 2 n k entries
        beside    2 n² k ops, q read once     2 n² ops       M read once: n² entries
        folded    4 out in k ops              –              the base's entries as float ones

    A product of matrices takes its operations at one rate, what is read its bytes at another;
    the price is the sum of both. M has 4 bits per entry and its groups' scales where the base
    is quantised, else what the layer computes in; a folded weight is never rounded. Of a stack,
    all matrices are folded; live, a token meets all heads, and of the experts at least one,
    which is counted. A stack has nothing beside it and stays live.

    memory: what may be filled [bytes].
    forms: those that are asked for; live is always one.
    """
    bits = FEW_BITS if any(one.is_quantised for one in weights) else 16
    choices = [Choice("live", 16, _live_seconds(weights, work, speed), 0)]
    if work.experts == 1 and "beside" in forms:
        choices.append(_price_beside(weights, work, speed, bits))
    if work.experts == 1 and "folded" in forms:
        choices.append(_price_folded(weights, work, speed))
    fitting = [one for one in choices if one.form == "live" or one.bytes <= memory]
    return min(fitting, key=lambda one: one.seconds)


def matrix_bytes(n: int, bits: int, entry_bytes: int) -> float:
    """Bytes of M: its entries, and the scale and bias of each group of 64 or 32 of them.

    >>> matrix_bytes(4096, 4, 2) / 1e6
    9.437184
    """
    block = next((size for size in (64, 32) if n % size == 0), None)
    if bits == 16 or block is None:
        return n * n * entry_bytes
    return n * n * (bits / 8 + 2 * entry_bytes / block)


def _live_seconds(weights: Sequence[Weight], work: Work, speed: Speed) -> float:
    tokens = work.tokens + work.rows * work.steps
    operations = sum(one.used * 4 * one.n * one.rank for one in weights)
    read = sum(one.used * 2 * one.basis_bytes for one in weights)
    return speed.seconds(tokens * operations, work.steps * read)


def _price_beside(weights: Sequence[Weight], work: Work, speed: Speed, bits: int) -> Choice:
    linear = [one for one in weights if one.is_linear]
    matrices = [matrix_bytes(one.n, _bits_of(one, bits), one.entry_bytes) for one in linear]
    tokens = work.tokens + work.rows * work.steps
    operations = tokens * sum(2 * one.n**2 for one in linear)
    read = work.steps * sum(matrices)
    if not work.is_made:
        operations += sum(2 * one.n**2 * one.rank for one in linear)
        read += sum(4 * one.n * one.rank for one in linear)
    seconds = speed.seconds(operations, read)
    seconds += _live_seconds([one for one in weights if not one.is_linear], work, speed)
    return Choice("beside", bits, seconds, 0 if work.is_made else round(sum(matrices)))


def _bits_of(weight: Weight, bits: int) -> int:
    return bits if weight.is_quantised else 16


def _price_folded(weights: Sequence[Weight], work: Work, speed: Speed) -> Choice:
    operations = sum(one.matrices * 4 * one.out * one.inner * one.rank for one in weights)
    floats = [one.out * one.inner * one.entry_bytes for one in weights]
    more = sum(
        one.used * max(size - one.base_bytes, 0)
        for one, size in zip(weights, floats, strict=True)
        if one.is_quantised
    )
    memory = sum(one.matrices * size for one, size in zip(weights, floats, strict=True))
    return Choice("folded", 16, speed.seconds(operations, work.steps * more), memory)


def describe_weight(layer: SVFLayer, base: Any) -> Weight:
    """What the price depends on.

    base: the layer's own base, where something else may stand in its place now.
    """
    *stack, out, inner = weight_shape(base)
    matrices = stack[0] if stack else 1
    parts = [base.get(name) for name in ("weight", "scales", "biases")]
    return Weight(
        out,
        inner,
        layer.shape[-1],
        sum(part.nbytes for part in parts if isinstance(part, mx.array)) / matrices,
        layer.basis_bytes / matrices,
        layer.dtype.size,
        isinstance(base, Quantised),
        isinstance(layer, SVFLinear),
        matrices,
        matrices if isinstance(layer, SVFMultiLinear) else 1,
    )
