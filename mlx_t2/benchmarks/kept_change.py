"""What each form and width keeps of the change that an expert makes of a weight. Knows layers
and scales; measures no time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import mlx.core as mx

from mlx_t2.models import SVFModel
from mlx_t2.svf import (
    Basis,
    Fidelity,
    Form,
    Scales,
    compare_changes,
    compose_change,
    dense_weight,
    round_change,
    with_weight,
)


@dataclass(frozen=True)
class Kept:
    """One form and width."""

    form: Form
    bits: int
    correlation: float
    """How alike realised and intended change are, mean over weights."""
    share: float
    error: float
    """|realised − intended| / |intended|, mean over weights."""


def measure_kept(
    model: SVFModel, scales: Scales, ways: Sequence[tuple[Form, int]], every: int = 5
) -> list[Kept]:
    """What the ways keep on this model, on every fifth weight unless told otherwise; the
    intended change is that of q in float32.
    """
    found: dict[tuple[Form, int], list[tuple[Fidelity, float]]] = {way: [] for way in ways}
    for path in list(scales)[::every]:
        base, basis, z = model.layers[path].base, model.read_basis(path), scales[path]
        intended = _apply(base, basis, compose_change(basis.q, z))
        for form, bits in ways:
            actual = _realise(base, basis, z, intended, form, bits)
            error: Any = (mx.linalg.norm(actual - intended) / mx.linalg.norm(intended)).item()
            found[form, bits].append((compare_changes(intended, actual), error))
    return [
        Kept(
            *way,
            mean(one.correlation for one, _ in each),
            mean(one.share for one, _ in each),
            mean(error for _, error in each),
        )
        for way, each in found.items()
    ]


def _apply(base: Any, basis: Basis, change: mx.array) -> mx.array:
    weight = dense_weight(base)
    return change @ weight if basis.side == "left" else weight @ change


def _realise(
    base: Any, basis: Basis, z: mx.array, intended: mx.array, form: Form, bits: int
) -> mx.array:
    """W' − W as that form has it."""
    if form == "live":
        return _apply(base, basis, compose_change(basis.q.to_bits(bits), z))
    if form == "beside":
        matrix = round_change(compose_change(basis.q, z), bits, mx.bfloat16)
        return _apply(base, basis, dense_weight(matrix))
    weight = dense_weight(base)
    folded: Any = with_weight(base, (weight + intended).astype(mx.bfloat16))
    if bits < 16:
        folded = folded.to_quantized(64, bits, "affine")
    return dense_weight(folded) - weight
