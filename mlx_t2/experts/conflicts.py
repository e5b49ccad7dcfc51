"""A sum of experts that looks where they conflict: pure. Knows no model, no files.

Trained by rewards, experts change mostly different singular values. An average dilutes what one
alone has changed; a plain sum counts several times what several have changed alike.
"""

import math
from collections.abc import Sequence

import mlx.core as mx

from mlx_t2.svf import Scales

from .expert import Expert
from .mixing import add

THRESHOLD = 0.5
"""Chosen on validation problems among 0, 0.5 and 1."""


def add_without_conflict(experts: Sequence[Expert], threshold: float = THRESHOLD) -> Scales:
    """z' = 1 + δ with, entry by entry, the mean of the deviations that count there:

        δ = Σ_{k ∈ A} δ_k / |A|,    A = {k : |δ_k| > threshold · rms of δ_k over the model},

    and 0 where none counts. So one expert's change is kept whole, what several change is
    averaged, and what is small in all is left out.

    >>> one, other = (
    ...     Expert("e", {"up": mx.array(z)}, "tiny", "ab12", "up", None, "t", 0, {}, {})
    ...     for z in ([2.0, 1.0, 1.5], [1.0, 1.5, 0.5])
    ... )
    >>> add_without_conflict([one, other], 0.1)
    {'up': array([2, 1.5, 1], dtype=float32)}

    Raises: as `mix` does.
    Source: after Reinforced Agent Merging, arXiv:2601.13572, on z − 1.
    """
    add(experts)  # refuses those that do not go together
    floors = [threshold * _rms(expert) for expert in experts]
    paths = sorted({path for expert in experts for path in expert.scales})
    return {
        path: _merge(
            [
                (expert.scales[path] - 1, floor)
                for expert, floor in zip(experts, floors, strict=True)
                if path in expert.scales
            ]
        )
        for path in paths
    }


def _rms(expert: Expert) -> float:
    """The root mean square of the deviations of an expert."""
    total: float = sum(mx.sum((z - 1) ** 2) for z in expert.scales.values()).item()  # pyright: ignore
    return math.sqrt(total / sum(z.size for z in expert.scales.values()))


def _merge(deviations: list[tuple[mx.array, float]]) -> mx.array:
    counting = [mx.where(mx.abs(d) > floor, d, 0) for d, floor in deviations]
    count = sum((d != 0).astype(mx.float32) for d in counting)
    return 1 + sum(counting) / mx.maximum(count, 1)  # pyright: ignore
