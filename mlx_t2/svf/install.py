"""Put SVF layers into a module tree, and take them out again. Knows modules; knows no tokens
and no files.

Which layers wear scales is decided here and nowhere else.
"""

import hashlib
import re
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from jaxtyping import Float
from mlx.utils import tree_unflatten

from mlx_t2.errors import ConfigError, ModelError

from .decompose import Basis
from .layer import SVFLinear

Linear = nn.Linear | nn.QuantizedLinear

_NAMED = {
    "mlp": r"\.(mlp|feed_forward|ffn)\.",
    "attention": r"\.(self_attn|attention|attn)\.",
    "all": r"",
}
# Embeddings and heads are left alone as in the paper; routers and indexers choose, they do not
# transform.
_EXCLUDED = re.compile(r"(^|\.)(embed\w*|lm_head|gate|router|indexer|altup|\w*_res_proj)(\.|$)")


@dataclass(frozen=True)
class Targets:
    """Which linear layers wear scales: `mlp`, `attention`, `all`, or a regular expression on
    module paths.
    """

    pattern: str = "mlp"

    def __post_init__(self):
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ConfigError(
                f"targets: {self.pattern!r} came, expected mlp, attention, all or a regular "
                f"expression ({error})"
            ) from error

    def select(self, network: nn.Module) -> dict[str, Linear]:
        """{module path: base layer} in path order. Raises ConfigError where nothing matches."""
        pattern = re.compile(_NAMED.get(self.pattern, self.pattern))
        found = {
            path: layer
            for path, layer in base_layers(network).items()
            if pattern.search(path) and not _EXCLUDED.search(path)
        }
        if not found:
            raise ConfigError(f"targets: {self.pattern!r} matches no linear layer of the model")
        return dict(sorted(found.items()))


def base_layers(network: nn.Module) -> dict[str, Linear]:
    """Every linear layer by its path, SVF layers by the base they wear."""
    modules = dict(network.named_modules())
    worn = {path: module for path, module in modules.items() if isinstance(module, SVFLinear)}
    plain = {
        path: module
        for path, module in modules.items()
        if type(module) in (nn.Linear, nn.QuantizedLinear)
        and path.removesuffix(".base") not in worn
    }
    return plain | {path: module.base for path, module in worn.items()}


def dense_weight(layer: Linear | nn.QuantizedEmbedding) -> Float[mx.array, "out inner"]:
    """The layer's weight as a float32 matrix; scales are widened first, so no bit of them is
    lost.
    """
    if isinstance(layer, nn.Linear):
        return layer.weight.astype(mx.float32)
    biases = layer.get("biases")
    return mx.dequantize(
        layer.weight,
        layer.scales if biases is None else layer.scales.astype(mx.float32),
        None if biases is None else biases.astype(mx.float32),
        group_size=layer.group_size,
        bits=layer.bits,
        mode=layer.mode,
    ).astype(mx.float32)


def weight_key(layer: Linear) -> str:
    """A hash of what the weight is: its bytes, shapes, types and quantisation."""
    digest = hashlib.sha256()
    if isinstance(layer, nn.QuantizedLinear):
        digest.update(f"{layer.bits} {layer.group_size} {layer.mode}".encode())
    for name in ("weight", "scales", "biases"):
        array = layer.get(name)
        if array is not None:
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.array(array.view(mx.uint8)).tobytes())
    return digest.hexdigest()


def install(network: nn.Module, bases: dict[str, Basis]) -> dict[str, SVFLinear]:
    """Replace each named linear layer by one that wears scales; the new layers by path."""
    modules = dict(network.named_modules())
    layers = {}
    for path, basis in bases.items():
        base = modules.get(path)
        if not isinstance(base, Linear):
            raise ModelError(f"{path}: {type(base).__name__} came, expected a linear layer")
        layers[path] = SVFLinear(base, basis)
    network.update_modules(tree_unflatten(list(layers.items())))
    return layers


def uninstall(network: nn.Module) -> None:
    """Put the untouched base layers back."""
    worn = [(p, m.base) for p, m in network.named_modules() if isinstance(m, SVFLinear)]
    network.update_modules(tree_unflatten(worn))
