"""Folding: W' in place of W, which then costs what the base costs, and the base put back.

Knows layers; does not know models, or when folding pays.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError

from .base_layer import BaseLayer, dense_weight, with_weight
from .layer import SVFLayer

SAFE_BITS = (16, 8)
"""What a folded weight may be rounded to without losing the expert."""


@dataclass(frozen=True)
class Fidelity:
    """What rounding has left of the intended change W' − W."""

    share: float
    """⟨actual, intended⟩ / |intended|²: 1 is all of it."""
    correlation: float
    """⟨actual, intended⟩ / (|actual| |intended|)."""


def folded_layer(layer: SVFLayer, bits: int = 16, force: bool = False) -> BaseLayer:
    """A base layer with the scaled weight in it; the SVF layer itself does not change.

    bits: 16 is the dtype that the base computes in; 8 and fewer are affine, in blocks of 64 or
        32 entries. Fewer than 8 round the change away, and need `force`.
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
    inner = new.weight.shape[-1]
    block = next((size for size in (64, 32) if inner % size == 0), None)
    if block is None:
        raise ConfigError(
            f"got a weight of {inner} inputs, expected a multiple of 32 to round to {bits} bits"
        )
    return new.to_quantized(block, bits, "affine")


def measure_fidelity(layer: SVFLayer, folded: BaseLayer) -> Fidelity:
    """How much of the change that `layer` wears is in the weight of `folded`."""
    base = dense_weight(layer.base)
    return compare_changes(layer.folded_weight() - base, dense_weight(folded) - base)


def compare_changes(
    intended: Float[mx.array, "*stack out inner"], actual: Float[mx.array, "*stack out inner"]
) -> Fidelity:
    """How much of the intended change the actual one is.

    >>> compare_changes(mx.array([[1.0, 0.0]]), mx.array([[0.5, 0.0]]))
    Fidelity(share=0.5, correlation=1.0)
    """
    sums: Any = mx.stack([(intended * actual).sum(), (intended**2).sum(), (actual**2).sum()])
    common, intended_square, actual_square = sums.tolist()
    lengths = math.sqrt(intended_square * actual_square)
    return Fidelity(
        common / intended_square if intended_square else 1.0,
        common / lengths if lengths else 0.0,
    )


def fold_layers(
    layers: Iterable[SVFLayer], bits: int = 16, force: bool = False
) -> list[BaseLayer]:
    """Put W' where the base was, in every layer; returns the bases, to be put back.

    The layers wear nothing afterwards. If one layer cannot be folded, none is. Forced to few
    bits, it warns with what is left of the change.
    """
    layers = list(layers)
    folded = []
    for layer in layers:
        folded.append(folded_layer(layer, bits, force))
        mx.eval(folded[-1].parameters())  # bounds memory, and keeps it out of the first token
    if bits not in SAFE_BITS:
        _warn(bits, [measure_fidelity(*pair) for pair in zip(layers, folded, strict=True)])
    bases = [layer.base for layer in layers]
    for layer, new in zip(layers, folded, strict=True):
        layer.base = new
        layer.wear(None)
    return bases


def _warn(bits: int, left: Sequence[Fidelity]) -> None:
    share = sum(one.share for one in left) / max(len(left), 1)
    correlation = sum(one.correlation for one in left) / max(len(left), 1)
    warnings.warn(
        f"folding into {bits} bits keeps {100 * share:.0f} % of the intended change "
        f"(correlation {correlation:.2f}; mean of {len(left)} weights)",
        stacklevel=3,
    )


def unfold_layers(layers: Iterable[SVFLayer], bases: Iterable[BaseLayer]) -> None:
    """Put the bases back, the very arrays that were there."""
    for layer, base in zip(layers, bases, strict=True):
        layer.base = base
