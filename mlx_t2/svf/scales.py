"""Scales: the vectors z of a whole model, by module path. Knows no files and no models."""

import mlx.core as mx

from mlx_t2.errors import ShapeError

Scales = dict[str, mx.array]
"""{module path: z}, z float32 of shape (rank,), or (rows, rank) where each row of a batch wears
its own.
"""


def ones(ranks: dict[str, int]) -> Scales:
    """The scales that leave every weight as it is."""
    return {path: mx.ones((rank,), dtype=mx.float32) for path, rank in ranks.items()}


def check_scales(scales: Scales, ranks: dict[str, int]) -> None:
    """Raise one ShapeError that lists every path or length of `scales` that `ranks` does not
    have.
    """
    faults = [f"{path}: no such SVF layer" for path in scales if path not in ranks]
    faults += [
        f"{path}: {z.shape[-1]} singular-value scales came, the layer has {ranks[path]}"
        for path, z in scales.items()
        if path in ranks and z.shape[-1] != ranks[path]
    ]
    if faults:
        raise ShapeError(
            "scales do not fit the model (was it decomposed alike?):\n" + "\n".join(faults)
        )
