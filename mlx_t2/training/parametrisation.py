"""What is trained, and the z that it stands for. Functions of arrays; know no models.

`direct` trains z itself. `sigmoid` is the reference's: z = sigmoid(p), renormalised. `bands`
trains a few shared numbers, to ask how many are needed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError
from mlx_t2.svf import Arrays, Scales, Shapes, ones


@dataclass(frozen=True)
class Parametrisation:
    """Named float32 arrays that are trained, and how they make scales."""

    initial: Arrays
    """Where training starts."""
    scales: Callable[[Arrays], Scales]
    """Parameters → {module path: z}; differentiable."""


def direct(shapes: Shapes, start: Scales) -> Parametrisation:
    """z itself, from exactly 1 or from another expert's z.

    Differs (5): z is trained itself, in float32, where the reference trains p and wears
    z = sigmoid(p), renormalised; so the first step is taken from the base model exactly.
    """
    return Parametrisation(ones(shapes) | start, lambda parameters: parameters)


def sigmoid(singular_values: Arrays, seed: int) -> Parametrisation:
    """z = sigmoid(p) · Σs / Σ(s ⊙ sigmoid(p)), p drawn around 0.1 with variance 1e-3.

    The sum of a weight's singular values stays what it was. z is not 1 at the start: the drawn
    p are some 1.5 % apart.

    Source: p: Sun, Cetin & Tang 2025, table 6; sigmoid and renormalisation: self-adaptive-llms
    at 03a41ae, `utils.py:100-115` and `policy/base.py:48`, not in the paper.
    """
    keys = mx.random.split(mx.random.key(seed), len(singular_values))
    initial = {
        path: 0.1 + 1e-3**0.5 * mx.random.normal(s.shape, key=key)
        for (path, s), key in zip(singular_values.items(), keys, strict=True)
    }

    def scales(parameters: Arrays) -> Scales:
        return {
            path: renormalise(mx.sigmoid(p), singular_values[path])
            for path, p in parameters.items()
        }

    return Parametrisation(initial, scales)


def renormalise(
    z: Float[mx.array, "*stack rank"], s: Float[mx.array, "*stack rank"]
) -> Float[mx.array, "*stack rank"]:
    """z · Σs / Σ(s ⊙ z)."""
    return z * s.sum(axis=-1, keepdims=True) / (s * z).sum(axis=-1, keepdims=True)


def bands(shapes: Shapes, count: int) -> Parametrisation:
    """One number per kind of matrix and band of singular values, shared by all layers.

    The kind is the last part of the module path; band b holds the singular values i with
    ⌊i · count / rank⌋ = b, the largest first.

    Raises: ConfigError for more bands than there are singular values.
    """
    most = max(shape[-1] for shape in shapes.values())
    if count > most:
        raise ConfigError(
            f"bands: got {count:,}, expected at most {most:,}: a weight has no more singular "
            "values that are scaled"
        )
    initial = {path.rpartition(".")[2]: mx.ones((count,)) for path in shapes}
    band = {rank: mx.arange(rank) * count // rank for rank in {s[-1] for s in shapes.values()}}

    def scales(parameters: Arrays) -> Scales:
        return {
            path: mx.broadcast_to(parameters[path.rpartition(".")[2]][band[shape[-1]]], shape)
            for path, shape in shapes.items()
        }

    return Parametrisation(initial, scales)
