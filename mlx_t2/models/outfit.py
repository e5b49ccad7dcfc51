"""What a model wears: scales, and the form in which its layers wear them. Knows layers by path;
puts nothing on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import mlx.core as mx
import mlx.nn as nn

from mlx_t2.svf import BASE, BesideLinear, Form, Scales, SVFLayer, SVFLinear, describe_form


@dataclass(frozen=True, eq=False)
class Outfit:
    """Scales in one form, ready to be put on and taken off: a value, so that nothing can get
    out of step.
    """

    scales: Scales = field(default_factory=lambda: BASE)
    """What is worn; a missing path is the base weight."""
    form: Form = "live"
    bits: int = 16
    """Per entry of what is beside or folded; 16 is what the layers compute in."""
    layers: Mapping[str, nn.Module] = field(default_factory=dict)
    """{module path: what stands where the base layer is otherwise}."""
    live: Scales = field(default_factory=lambda: BASE)
    """The scales that layers wear live: all of them, or those that nothing stands in for."""

    def __str__(self) -> str:
        """As a person reads it: `beside, 4 bits`; 16 bits are not worth a word."""
        return describe_form(self.form, self.bits)

    @property
    def nbytes(self) -> int:
        """Bytes beyond the base and its bases: matrices beside, or folded weights."""
        return sum(
            layer.change_bytes if isinstance(layer, BesideLinear) else _count_bytes(layer)
            for layer in self.layers.values()
        )


def _count_bytes(layer: nn.Module) -> int:
    return sum(part.nbytes for part in layer.values() if isinstance(part, mx.array))


@dataclass(frozen=True)
class PutBeside:
    """The change of one weight is made."""

    path: str
    index: int
    """1 for the first."""
    total: int
    seconds: float
    """Since the first was begun."""
    bytes: int
    """Size of its matrix; 0 where z = 1 and there is none."""
    outfit: Outfit
    """The same scales, beside as far as matrices are made and live beyond."""


def live_outfit(scales: Scales) -> Outfit:
    """These scales, live."""
    return Outfit(scales, live=scales)


def linear_layers(layers: Mapping[str, SVFLayer], scales: Scales) -> dict[str, SVFLinear]:
    """The layers whose change can be beside them. The others stay live: a stack of weights has
    as many changes as matrices, and a token uses few of them.
    """
    return {p: one for p in scales if isinstance(one := layers[p], SVFLinear)}
