"""Ways to put experts together that measured no better than the library's, or that others use;
for comparison alone. Knows experts; knows no models and no tasks.
"""

import math
from collections.abc import Sequence

import mlx.core as mx

from mlx_t2.experts import Expert, add
from mlx_t2.svf import Arrays, Scales

_KEPT = 0.2
"""Share of each expert's deviations that TIES keeps."""
_FLOOR = 0.5
"""What counts of an expert in a conflict-aware sum is above this share of its deviations' root
mean square.
"""
_START = 0.1
"""The number before the sigmoid that the reference code begins at."""


def add_without_conflict(experts: Sequence[Expert], threshold: float = _FLOOR) -> Scales:
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


def merge_ties(experts: Sequence[Expert], kept: float = _KEPT) -> Scales:
    """z' = 1 + δ: each expert's largest deviations are kept, each entry takes the sign of their
    sum, and the mean of those that have it.

    Source: Yadav et al. 2023, arXiv:2306.01708, with λ = 1.
    """
    floors = []
    for expert in experts:
        sizes = mx.sort(mx.concatenate([mx.abs(z - 1) for z in expert.scales.values()]))
        floors.append(sizes[int((1 - kept) * sizes.size)])
    merged = {}
    for path in sorted({path for expert in experts for path in expert.scales}):
        trimmed = [
            mx.where(mx.abs(expert.scales[path] - 1) >= floor, expert.scales[path] - 1, 0)
            for expert, floor in zip(experts, floors, strict=True)
            if path in expert.scales
        ]
        stacked = mx.stack(trimmed)
        sign = mx.sign(mx.sum(stacked, axis=0))
        agreeing = mx.where(mx.sign(stacked) == sign, stacked, 0)
        count = mx.sum((agreeing != 0).astype(mx.float32), axis=0)
        merged[path] = 1 + mx.sum(agreeing, axis=0) / mx.maximum(count, 1)
    return merged


def mix_as_reference(
    experts: Sequence[Expert], coefficients: Sequence[float], singular_values: Arrays
) -> Scales:
    """What the reference code's few-shot path makes of these experts.

    It trains p and multiplies the singular values by sigmoid(p), renormalised; but what it
    mixes and multiplies by is p itself:

        m = Σ_k α_k p_k,        z' = m · Σσ / Σ(σ ⊙ m).

    p_k is the logit of sigmoid(0.1) z_k: then its training would have worn z_k itself, up to
    the renormalisation.

    Source: self-adaptive-llms, utils.py (compose_new_params) and policy/weighted_combination.py
    at 03a41ae.
    """
    start = 1 / (1 + math.exp(-_START))
    mixed = {}
    for path in sorted({path for expert in experts for path in expert.scales}):
        s = singular_values[path]
        logits = []
        for expert in experts:
            share = mx.clip(start * expert.scales.get(path, mx.ones_like(s)), 1e-3, 1 - 1e-3)
            logits.append(mx.log(share) - mx.log(1 - share))
        pairs = zip(coefficients, logits, strict=True)
        m = sum((alpha * logit for alpha, logit in pairs), mx.zeros_like(s))
        mixed[path] = m * mx.sum(s) / mx.sum(s * m)
    return mixed
