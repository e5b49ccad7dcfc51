"""How alike experts are: the angle between their deviations from 1. Pure; knows no model."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mlx_t2.errors import ShapeError
from mlx_t2.svf import Scales

from .expert import Expert


def cosines(experts: Sequence[Expert]) -> Float[np.ndarray, "K K"]:
    """cos(δ_j, δ_k) of the deviations δ = z − 1, over every entry of the network; what an
    expert does not scale is 0. 0 with an expert that changes nothing.

    >>> import mlx.core as mx
    >>> one, other = (
    ...     Expert("e", {"up": mx.array(z)}, "tiny", "ab12", "up", None, "t", 0, {}, {})
    ...     for z in ([2.0, 1.0], [2.0, 2.0])
    ... )
    >>> cosines([one, other]).round(2).tolist()
    [[1.0, 0.71], [0.71, 1.0]]

    Raises: ShapeError for scales of different shapes.
    """
    shapes = {path: z.shape for expert in experts for path, z in expert.scales.items()}
    faults = [
        f"{path}: {expert.name!r} has {z.shape}, another {shapes[path]}"
        for expert in experts
        for path, z in expert.scales.items()
        if z.shape != shapes[path]
    ]
    if faults:
        raise ShapeError("compare: expected scales of the same shapes:\n" + "\n".join(faults))
    products = np.zeros((len(experts), len(experts)))
    for path, shape in sorted(shapes.items()):
        rows = np.stack([_deviation(expert, path, shape) for expert in experts])
        products += rows @ rows.T
    norms = np.sqrt(np.diag(products))
    return products / np.maximum(np.outer(norms, norms), np.finfo(float).tiny)


def norm(expert: Expert) -> float:
    """‖z − 1‖ over every entry."""
    total = sum(
        float((_deviation(expert, p, z.shape) ** 2).sum()) for p, z in expert.scales.items()
    )
    return total**0.5


def _deviation(expert: Expert, path: str, shape: tuple[int, ...]) -> Float[np.ndarray, " n"]:
    z = expert.scales.get(path)
    return np.zeros(shape).ravel() if z is None else np.array(z, dtype=np.float64).ravel() - 1


def largest_deviations(scales: Scales) -> list[tuple[str, str, float]]:
    """(layer, matrix, largest |z − 1|) for each layer, in their order; the matrix is the one
    that has it.

    A layer is a path up to its first number; a path without one is a layer of its own.

    >>> import mlx.core as mx
    >>> z = {"m.10.up": mx.array([1.5, 0.0]), "m.9.up": mx.array([3.0]), "m.9.down": mx.ones(2)}
    >>> largest_deviations(z)
    [('m.9', 'up', 2.0), ('m.10', 'up', 1.0)]
    """
    found: dict[str, tuple[str, float]] = {}
    for path in sorted(scales, key=_places):
        words = path.split(".")
        end = next((i for i, word in enumerate(words) if word.isdigit()), len(words) - 1) + 1
        layer, matrix = ".".join(words[:end]), ".".join(words[end:])
        size = float(np.abs(np.array(scales[path], dtype=np.float64) - 1).max(initial=0))
        if layer not in found or size > found[layer][1]:
            found[layer] = (matrix, size)
    return [(layer, *most) for layer, most in found.items()]


def deviation_map(expert: Expert, kind: str) -> Float[np.ndarray, "paths rank"]:
    """z − 1 of every matrix whose path ends in `kind`, one row each in the order of the layers;
    what is shorter than the longest is NaN at its end.
    """
    rows = [
        np.array(z, dtype=np.float64).reshape(-1, z.shape[-1]) - 1
        for _, z in sorted(
            ((_places(path), z) for path, z in expert.scales.items() if path.endswith(kind)),
            key=lambda pair: pair[0],
        )
    ]
    longest = max(row.shape[-1] for row in rows)
    return np.concatenate(
        [
            np.pad(row, ((0, 0), (0, longest - row.shape[-1])), constant_values=np.nan)
            for row in rows
        ]
    )


def kinds_of(expert: Expert) -> list[str]:
    """The last words of the paths, `up_proj` and the like, each once."""
    return sorted({path.rpartition(".")[2] for path in expert.scales})


def _places(path: str) -> tuple[tuple[int, str], ...]:
    """The path with its numbers as numbers: layer 10 is behind layer 9."""
    return tuple((int(word), "") if word.isdigit() else (-1, word) for word in path.split("."))
