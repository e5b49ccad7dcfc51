"""What training has made of z: where |z − 1| is large, and how alike experts are.

Knows experts; knows no models and no answers.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from jaxtyping import Float

from mlx_t2.experts import Expert, cosines, norm

from .plan import RANKS

_PARTS = 8
"""Equal parts of the singular values, largest first."""


def describe_scales(experts: Sequence[Expert]) -> dict[str, Any]:
    """|z − 1| of each, its mean by layer and by place among the singular values, and the share
    of ‖z − 1‖² in the first ones; and the cosines between all deviations.

    Every weight has to have as many scales.
    """
    return {
        "cosines": cosines(experts).round(4).tolist(),
        "experts": {expert.name: _describe(expert) for expert in experts},
    }


def _describe(expert: Expert) -> dict[str, Any]:
    deviations = np.stack([_deviation(z) for _, z in sorted(expert.scales.items())])
    layers: dict[int, list[float]] = {}
    for path, z in expert.scales.items():
        layers.setdefault(_layer_of(path), []).append(float(np.abs(_deviation(z)).mean()))
    squares = (deviations**2).sum(axis=0)
    parts = np.array_split(np.abs(deviations).mean(axis=0), _PARTS)
    return {
        "norm": round(norm(expert), 3),
        "mean": float(f"{np.abs(deviations).mean():.4g}"),
        "by_layer": [float(f"{np.mean(layers[n]):.4g}") for n in sorted(layers)],
        "by_index": [float(f"{part.mean():.4g}") for part in parts],
        "kept": {
            str(rank): round(float(squares[:rank].sum() / max(squares.sum(), 1e-30)), 4)
            for rank in RANKS
        },
    }


def _deviation(z: mx.array) -> Float[np.ndarray, " rank"]:
    return np.array(z, dtype=np.float64) - 1


def _layer_of(path: str) -> int:
    """The first number in the path; 0 where there is none."""
    return next((int(word) for word in path.split(".") if word.isdigit()), 0)
