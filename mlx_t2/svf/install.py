"""Put SVF layers into a module tree, and take them out again. Knows modules; does not know
which layers to choose, tokens or files.
"""

from collections.abc import Mapping
from typing import Any

import mlx.nn as nn
from mlx.utils import tree_unflatten

from mlx_t2.errors import ModelError

from .architectures import check_architecture
from .base_layer import BASE_CLASSES
from .decompose import Basis
from .layer import SVFLayer, svf_layer
from .moe_block import keep_order, lose_order


def install_layers(
    network: nn.Module, bases: Mapping[str, Basis], bits: int | None = None
) -> dict[str, SVFLayer]:
    """Replace each named linear layer by one that wears scales; the new layers by path.

    bits: per entry of q, 32, 16, 8 or 4; None is the dtype that the layer computes in.
    Raises: ModelError for a path without a linear layer, or for an architecture that cannot
        wear scales.
    """
    check_architecture(network)
    modules = dict(network.named_modules())
    layers: dict[str, SVFLayer] = {}
    for path, basis in bases.items():
        base: Any = modules.get(path)
        if type(base) not in BASE_CLASSES:
            raise ModelError(f"{path}: got {type(base).__name__}, expected a linear layer")
        layers[path] = svf_layer(base, basis, bits)
    network.update_modules(tree_unflatten(list(layers.items())))
    keep_order(network)
    return layers


def uninstall_layers(network: nn.Module) -> None:
    """Put the untouched base layers back."""
    worn = [(p, m.base) for p, m in network.named_modules() if isinstance(m, SVFLayer)]
    network.update_modules(tree_unflatten(worn))
    lose_order(network)
