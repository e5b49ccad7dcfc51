"""Scales: the vectors z of a whole model, by module path. Does not know files or models."""

from collections.abc import Sequence
from typing import Any, Literal

import mlx.core as mx
from jaxtyping import Integer

from mlx_t2.errors import ShapeError

Arrays = dict[str, mx.array]
"""Arrays by module path or by name, whatever they are: gradients, singular values, sums."""

Scales = dict[str, mx.array]
"""{module path: z}, z float32 of the layer's shape: (rank,), or (stack, rank) for the experts
or heads of one layer; or (rows, *shape) where each row of a batch wears its own. A missing path
is the base weight, z = 1.
"""

Shapes = dict[str, tuple[int, ...]]
"""{module path: shape of z for one row}."""

ActsOn = Literal["all", "answer"]
"""What is read under scales: `all` of a conversation, or the `answer` alone. Then a prompt is
read under the base weights up to its last token; that one and what follows, under the scales.
"""

BASE: Scales = {}
"""The base weights, always the same object, not to be changed."""


def ones(shapes: Shapes) -> Scales:
    """The scales that leave every weight as it is."""
    return {path: mx.ones(shape, dtype=mx.float32) for path, shape in shapes.items()}


def check_scales(scales: Scales, shapes: Shapes) -> None:
    """Raise one ShapeError that lists every path and shape that is not in `shapes`."""
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
    path: str, got: tuple[int, ...], shapes: Shapes, rows: bool = False
) -> str | None:
    """Why scales of that shape do not fit the layer at `path`; None where they do.

    rows: one z per row of a batch fits too.
    """
    if path not in shapes:
        return f"{path}: no such SVF layer"
    expected = shapes[path]
    if got == expected or (rows and got[1:] == expected):
        return None
    if len(expected) == 1 and len(got) <= 2:
        return (
            f"{path}: got {got[-1] if got else 0} singular-value scales, the layer has "
            f"{expected[0]}"
        )
    return f"{path}: got scales of shape {got}, the layer has {expected}"


def stack_rows(rows: Sequence[Scales]) -> Scales:
    """The scales of several conversations as rows of one batch; ones where a row has none."""
    shapes = {path: z.shape for scales in rows for path, z in scales.items()}
    return {
        path: mx.stack([s[path] if path in s else mx.ones(shape) for s in rows])
        for path, shape in shapes.items()
    }


def take_rows(scales: Scales, shapes: Shapes, rows: Integer[mx.array, " rows"]) -> Scales:
    """The scales of these rows, in this order; what all rows share stays as it is."""
    return {path: z[rows] if z.ndim > len(shapes[path]) else z for path, z in scales.items()}


def agree(one: Scales, other: Scales) -> bool:
    """Whether both are of the same arrays; looks at no number."""
    return one is other or (
        one.keys() == other.keys() and all(z is other[path] for path, z in one.items())
    )


def same(one: Scales, other: Scales) -> bool:
    """Whether both scale alike; compares numbers only where the arrays are not the same."""
    if one.keys() != other.keys():
        return False
    pairs = [(z, other[path]) for path, z in one.items() if z is not other[path]]
    if any(z.shape != also.shape for z, also in pairs):
        return False
    if not pairs:
        return True
    alike: Any = mx.all(mx.stack([mx.array_equal(*pair) for pair in pairs])).item()
    return alike
