"""Scales: the vectors z of a whole model, by module path. Knows no files and no models."""

from collections.abc import Sequence

import mlx.core as mx

from mlx_t2.errors import ShapeError

Scales = dict[str, mx.array]
"""{module path: z}, z float32 of the layer's shape: (rank,), or (stack, rank) for the experts
or heads of one layer; or (rows, *shape) where each row of a batch wears its own.
"""

Shapes = dict[str, tuple[int, ...]]
"""{module path: shape of z for one row}."""


def ones(shapes: Shapes) -> Scales:
    """The scales that leave every weight as it is."""
    return {path: mx.ones(shape, dtype=mx.float32) for path, shape in shapes.items()}


def check_scales(scales: Scales, shapes: Shapes) -> None:
    """Raise one ShapeError that lists every path or shape of `scales` that `shapes` does not
    have.
    """
    faults = [
        fault
        for path, z in scales.items()
        if (fault := shape_fault(path, z.shape, shapes, rows=True))
    ]
    if faults:
        raise ShapeError(
            "scales do not fit the model (was it decomposed alike?):\n" + "\n".join(faults)
        )


def shape_fault(
    path: str, came: tuple[int, ...], shapes: Shapes, rows: bool = False
) -> str | None:
    """What keeps scales of that shape off the layer at `path`; None where they fit.

    rows: one z a row of a batch is fine too.
    """
    if path not in shapes:
        return f"{path}: no such SVF layer"
    expected = shapes[path]
    if came == expected or (rows and came[1:] == expected):
        return None
    if len(expected) == 1 and len(came) <= 2:
        return (
            f"{path}: got {came[-1] if came else 0} singular-value scales, the layer has "
            f"{expected[0]}"
        )
    return f"{path}: got scales of shape {came}, the layer has {expected}"


def stack_rows(rows: Sequence[Scales]) -> Scales:
    """The scales of several conversations as rows of one batch; ones where a row has none."""
    shapes = {path: z.shape for scales in rows for path, z in scales.items()}
    return {
        path: mx.stack([s[path] if path in s else mx.ones(shape) for s in rows])
        for path, shape in shapes.items()
    }


def take_rows(scales: Scales, shapes: Shapes, rows: mx.array) -> Scales:
    """The scales of these rows, in this order; what all rows share stays as it is."""
    return {path: z[rows] if z.ndim > len(shapes[path]) else z for path, z in scales.items()}


def same(one: Scales, other: Scales) -> bool:
    """Whether both scale alike; looks at numbers only where the arrays are not the same."""
    return one.keys() == other.keys() and all(
        z is other[path] or (z.shape == other[path].shape and mx.array_equal(z, other[path]))
        for path, z in one.items()
    )
