"""What decomposing a network would do, before any of it is done. Knows modules and shapes;
computes nothing.
"""

import math
from dataclasses import dataclass

import mlx.nn as nn

from mlx_t2.errors import ConfigError

from .base_layer import BaseLayer, activation_dtype, weight_shape
from .decompose import PRECISIONS, Precision
from .decompose_layers import STREAMS, count_operations
from .scales import Shapes
from .singular_vectors import BITS
from .targets import Survey, Targets


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Which weights are decomposed, and how."""

    targets: str = "mlp"
    """`mlp`, `attention`, `all` or a regular expression on module paths."""
    rank: int | None = None
    """Singular values scaled per weight, largest first; None, or more than there are: all."""
    precision: Precision = "float64"
    """What the Gram matrix and its eigenvectors are computed in."""
    bits: int | None = None
    """Per entry of q: 32, 16, 8 or 4; None is what the layer computes in."""

    def __post_init__(self):
        if self.rank is not None and self.rank < 1:
            raise ConfigError(f"rank: got {self.rank}, expected 1 or more")
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"precision: got {self.precision!r}, expected {' or '.join(PRECISIONS)}"
            )
        if self.bits not in (None, *BITS):
            raise ConfigError(f"basis bits: got {self.bits}, expected 32, 16, 8 or 4")


@dataclass(frozen=True)
class Plan:
    """What a recipe would do to a network."""

    survey: Survey
    """What would happen to each layer."""
    shapes: Shapes
    """{module path: shape of z}."""
    basis_bytes: int
    """All q together, as the model would hold them."""
    expert_bytes: int
    """All z of one expert together."""
    peak_bytes: int
    """The most memory in use at once, beside the model: a few weights in float64."""
    operations: float
    """See `count_operations`."""


def plan_decomposition(network: nn.Module, recipe: Recipe) -> Plan:
    """What `recipe` would do to the network.

    Raises: ConfigError for targets that match nothing; ModelError for an architecture that
        cannot wear scales.
    """
    targets = Targets(recipe.targets)
    chosen = targets.select(network)
    shapes = {path: _shape(layer, recipe.rank) for path, layer in chosen.items()}
    return Plan(
        targets.survey(network),
        shapes,
        sum(_basis_bytes(layer, shapes[path], recipe) for path, layer in chosen.items()),
        4 * sum(math.prod(shape) for shape in shapes.values()),
        max(_peak_bytes(layer, shapes[path], recipe) for path, layer in chosen.items()),
        sum(count_operations(layer) for layer in chosen.values()),
    )


def _shape(layer: BaseLayer, rank: int | None) -> tuple[int, ...]:
    *stack, out, inner = weight_shape(layer)
    n = min(out, inner)
    return (*stack, n if rank is None else min(rank, n))


def _basis_bytes(layer: BaseLayer, shape: tuple[int, ...], recipe: Recipe) -> int:
    entry = activation_dtype(layer).size if recipe.bits is None else recipe.bits / 8
    return round(entry * math.prod(shape) * min(weight_shape(layer)[-2:]))


def _peak_bytes(layer: BaseLayer, shape: tuple[int, ...], recipe: Recipe) -> int:
    """The layer's share of the peak while every stream decomposes one of its matrices.

    Per matrix: itself in float32 and in the precision, and four squares of its smaller side.
    Beside them, the finished bases of its stack.
    """
    out, inner = weight_shape(layer)[-2:]
    size, n = (8 if recipe.precision == "float64" else 4), min(out, inner)
    finished = 4 * math.prod(shape) * n
    return (STREAMS + 1) * ((4 + size) * out * inner + 4 * size * n * n) + finished
