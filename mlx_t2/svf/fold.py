"""Folding: W' in place of W, which then costs what the base costs, and the base put back.

Knows layers; knows no model. The choice between live and folded scales is made here.
"""

import math
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import mlx.core as mx

from mlx_t2.errors import ConfigError

from .base import BaseLayer, Quantised, dense_weight, weight_shape, with_weight
from .layer import SVFLayer, SVFMultiLinear

Form = Literal["live", "folded"]
"""How scales are worn: by the layer's own products, or inside its weight."""

SAFE_BITS = (16, 8)
"""What a folded weight may be rounded to without losing the expert."""


@dataclass(frozen=True)
class Realised:
    """What is left of the intended change W' − W after rounding W'."""

    share: float
    """⟨realised, intended⟩ / |intended|²: 1 is all of it."""
    correlation: float
    """⟨realised, intended⟩ / (|realised| |intended|)."""


def folded_layer(layer: SVFLayer, bits: int = 16, force: bool = False) -> BaseLayer:
    """A base layer with the scaled weight in it; the SVF layer is as before.

    bits: 16 is the dtype that the base computes in; 8, and less, are affine groups of 64 or
        32. Less than 8 rounds the change away, and needs `force`.
    Raises: ConfigError for bits that MLX does not know or that lose the expert.
    """
    if bits not in (16, 8, 6, 5, 4, 3, 2):
        raise ConfigError(f"bits: got {bits}, expected 16 or 8 (or 6, 5, 4, 3, 2, forced)")
    if bits not in SAFE_BITS and not force:
        raise ConfigError(
            f"bits: got {bits}, expected 16 or 8: rounding to {bits} bits loses most of what "
            "an expert changes. Force it to see how much"
        )
    new: Any = with_weight(layer.base, layer.folded_weight().astype(layer.dtype))
    if bits == 16:
        return new
    group = next((g for g in (64, 32) if new.weight.shape[-1] % g == 0), None)
    if group is None:
        raise ConfigError(
            f"got a weight of {new.weight.shape[-1]} inputs, expected a multiple of 32 to "
            f"round to {bits} bits"
        )
    return new.to_quantized(group, bits, "affine")


def realised(layer: SVFLayer, folded: BaseLayer) -> Realised:
    """How much of the change that `layer` wears is in the weight of `folded`."""
    base = dense_weight(layer.base)
    intended, got = layer.folded_weight() - base, dense_weight(folded) - base
    sums: Any = mx.stack([(intended * got).sum(), (intended**2).sum(), (got**2).sum()])
    common, square, reached = sums.tolist()
    return Realised(
        common / square if square else 1.0,
        common / math.sqrt(square * reached) if square and reached else 0.0,
    )


def fold(layers: Iterable[SVFLayer], bits: int = 16, force: bool = False) -> list[BaseLayer]:
    """Put W' where the base was, in every layer; returns the bases, to be put back.

    The layers wear nothing afterwards; nothing has changed where one cannot be folded. Forced
    to few bits, it warns with what is left of the change.
    """
    layers = list(layers)
    folded = []
    for layer in layers:
        folded.append(folded_layer(layer, bits, force))
        mx.eval(folded[-1].parameters())  # bounds memory, and keeps it out of the first token
    if bits not in SAFE_BITS:
        _warn(bits, [realised(*pair) for pair in zip(layers, folded, strict=True)])
    bases = [layer.base for layer in layers]
    for layer, new in zip(layers, folded, strict=True):
        layer.base = new
        layer.wear(None)
    return bases


def _warn(bits: int, left: Sequence[Realised]) -> None:
    share = sum(one.share for one in left) / max(len(left), 1)
    correlation = sum(one.correlation for one in left) / max(len(left), 1)
    warnings.warn(
        f"folding into {bits} bits realises {100 * share:.0f} % of the intended change "
        f"(correlation {correlation:.2f}; mean of {len(left)} weights)",
        stacklevel=3,
    )


def unfold(layers: Iterable[SVFLayer], bases: Iterable[BaseLayer]) -> None:
    """Put the bases back, the very arrays that were there."""
    for layer, base in zip(layers, bases, strict=True):
        layer.base = base


def cheaper_form(layers: Sequence[SVFLayer], tokens: int, steps: int) -> Form:
    """How to wear the layers' scales for a prompt of so many tokens and so many steps after it.

    Folding is paid once, live scales with every token. For one weight (out, in) with q (n, k):

        folded:  4 · out · in · k operations
        live:    4 · n · k operations for every prompt token,
                 and q read twice, 2 · n · k entries, for every step

    Operations are priced at this machine's rate of float32 products, reading at its rate of a
    product with one row; both are measured once. Of a stack all matrices are folded; live, all
    heads are used by every token, and of the experts at least one, which is what is counted. A
    quantised base that is folded to 16 bits is read at twice or four times the bytes from then
    on, which is added to its price.
    """
    flops, bandwidth = _rates()
    live = folded = 0.0
    for layer in layers:
        *stack, out, inner = weight_shape(layer.base)
        many = stack[0] if stack else 1
        n, k = min(out, inner), layer.shape[-1]
        folded += many * 4 * out * inner * k / flops
        used = many if isinstance(layer, SVFMultiLinear) else 1
        live += used * tokens * 4 * n * k / flops
        live += used * steps * 2 * layer.basis_bytes / many / bandwidth
        if isinstance(layer.base, Quantised):
            more = layer.dtype.size - layer.base.bits / 8
            folded += used * steps * out * inner * max(more, 0) / bandwidth
    return "folded" if folded < live else "live"


@cache
def _rates() -> tuple[float, float]:
    """(operations a second of a float32 product, bytes a second of one with a single row)."""
    a = mx.random.normal((1024, 1024), key=mx.random.key(0))
    row = a[:1]
    seconds = []
    for work in (lambda: a @ a, lambda: row @ a):
        mx.eval(a, work())
        tries = []
        for _ in range(5):  # the best of them: the machine may be doing something else, too
            start = time.perf_counter()
            mx.eval(work())
            tries.append(time.perf_counter() - start)
        seconds.append(min(tries))
    return 2 * 1024**3 / seconds[0], a.nbytes / seconds[1]
