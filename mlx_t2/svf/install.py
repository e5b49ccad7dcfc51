"""Put SVF layers into a module tree, and take them out again. Knows modules; knows no tokens
and no files.

Which layers wear scales, and why others do not, is decided here and nowhere else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten
from mlx_lm.models.mla import MultiLinear, QuantizedMultiLinear
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from mlx_t2.errors import ConfigError, ModelError

from .base import BaseLayer
from .decompose import Basis
from .layer import SVFLayer, svf_layer
from .mixture_block import keep_order, lose_order

_NAMED = {
    "mlp": r"\.(mlps?|\w+_mlp|mlp_block|feed_forward|ffn|moe|block_sparse_moe|experts)\."
    r"|\.mixer\.(up_proj|down_proj|fc\d\w*|shared_experts)",
    "attention": r"\.(self_attn|self_attention|attention|attn|linear_attn)\."
    r"|mixer\.([qkvo]_proj|qkv_proj|Wqkv)|\.temporal_block\.[qkvo]_proj",
    "all": r"",
}

# By exact type: a subclass may mean something else by being called.
_KINDS = (
    nn.Linear,
    nn.QuantizedLinear,
    SwitchLinear,
    QuantizedSwitchLinear,
    MultiLinear,
    QuantizedMultiLinear,
)

_EXCLUDED = {
    r"(^|\.)(lm_head|output$|embed_out$)": "the head, left alone as in the paper",
    r"(^|\.)(\w*embed\w*|wte|wpe)(\.|$)": "an embedding, left alone as in the paper",
    r"(^|\.)(gate|router)(\.|$)": "a router: it chooses experts",
    r"\.(shared_expert_gate|coefficient)$": "a gate that weighs experts",
    r"(^|\.)(indexer\.|index_[qk]_proj)": "an indexer: it chooses tokens, and has no gradient",
    r"(^|\.)altup\.": "its weight is read and replaced in every forward pass",
    r"_res_proj$": "its weight is read without the layer being called",
}
"""Module path → why it wears no scales."""

_FUSED = {
    r"(qkv_proj|query_key_value|Wqkv|wqkv|W_pack|c_attn)$": "queries, keys and values",
    r"gate_up_proj$": "gate and up",
    r"in_proj\w*$": "several inputs of a mixer",
}
"""Module path → the matrices that lie on one another in its weight."""

REFUSED = {
    "bitnet": "its ternary weights are multiplied by a Metal kernel of their own",
    "kimi_k3": "its decoding step is compiled with the weights of its first token in it",
    "muse_spark": "its kernels exist on Metal alone and have no gradient",
    "prism_hadamard_qwen35": "its weights are rotated and then rounded to 2 bits",
}
"""mlx-lm's name of an architecture → why it cannot wear scales."""

UNTRAINABLE = {
    "deepseek_v41": "mlx-lm chooses its tokens by an operation that MLX cannot differentiate",
}
"""mlx-lm's name of an architecture → why its z has no gradient; experts can be worn."""


@dataclass(frozen=True)
class Survey:
    """What would happen to each layer that has a matrix of its own."""

    targeted: dict[str, BaseLayer]
    """{module path: base layer}, in path order."""
    skipped: dict[str, str] = field(default_factory=dict)
    """{module path: why it wears no scales}."""
    fused: dict[str, str] = field(default_factory=dict)
    """{targeted module path: which matrices share its one basis}; the paper has one each."""


@dataclass(frozen=True)
class Targets:
    """Which linear layers wear scales: `mlp`, `attention`, `all`, or a regular expression on
    module paths.
    """

    pattern: str = "mlp"

    def __post_init__(self):
        try:
            re.compile(self.pattern)
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            raise ConfigError(
                f"targets: got {self.pattern!r}, expected mlp, attention, all or a regular "
                f"expression ({error})"
            ) from error

    def survey(self, network: nn.Module) -> Survey:
        """Every layer with a matrix, and what would happen to it.

        Raises: ModelError for an architecture that cannot wear scales.
        """
        check_architecture(network)
        pattern = re.compile(_NAMED.get(self.pattern, self.pattern))
        known, survey = base_layers(network), Survey({})
        for path, module in sorted((known | _unknown(network)).items()):
            why = _excluded(path) or _unfit(module)
            if why is None and not pattern.search(path):
                why = f"not among the targets {self.pattern!r}"
            if why is not None:
                survey.skipped[path] = why
                continue
            survey.targeted[path] = known[path]
            if fused := _first(_FUSED, path):
                survey.fused[path] = fused
        return survey

    def select(self, network: nn.Module) -> dict[str, BaseLayer]:
        """{module path: base layer} in path order.

        Raises: ConfigError where nothing matches; ModelError as `survey`.
        """
        survey = self.survey(network)
        if not survey.targeted:
            near = [p for p, why in survey.skipped.items() if why.startswith("not among")]
            hint = f", which has {near[0]} and {len(near) - 1} others" if near else ""
            raise ConfigError(
                f"targets: {self.pattern!r} matches no linear layer of the model{hint}. "
                "Try all, or a regular expression on such paths"
            )
        return survey.targeted


def check_architecture(network: nn.Module) -> None:
    """Raise ModelError for an architecture that is known not to work."""
    name = architecture(network)
    if name in REFUSED:
        raise ModelError(f"{name}: cannot wear singular value scales: {REFUSED[name]}")


def check_trainable(network: nn.Module) -> None:
    """Raise ModelError for an architecture whose z is known to have no gradient."""
    name = architecture(network)
    if name in UNTRAINABLE:
        raise ModelError(f"{name}: cannot be trained: {UNTRAINABLE[name]}")


def architecture(network: nn.Module) -> str:
    """mlx-lm's name for it: the file that its class is in."""
    return type(network).__module__.rpartition(".")[2]


def base_layers(network: nn.Module) -> dict[str, BaseLayer]:
    """Every layer of a known kind by its path, SVF layers by the base they wear."""
    modules = dict(network.named_modules())
    worn = {path: module for path, module in modules.items() if isinstance(module, SVFLayer)}
    plain = {
        path: module
        for path, module in modules.items()
        if type(module) in _KINDS and path.removesuffix(".base") not in worn
    }
    return plain | {path: module.base for path, module in worn.items()}


def _unknown(network: nn.Module) -> dict[str, nn.Module]:
    """Modules that hold a matrix called `weight` and are of no kind known here."""
    return {
        path: module
        for path, module in network.named_modules()
        if type(module) not in _KINDS
        and not isinstance(module, SVFLayer)
        and isinstance(weight := module.get("weight"), mx.array)
        and weight.ndim >= 2
    }


def _excluded(path: str) -> str | None:
    return _first(_EXCLUDED, path)


def _unfit(module: nn.Module) -> str | None:
    if type(module) in _KINDS:
        return None
    if "conv" in type(module).__name__.lower():
        return "a convolution"
    return f"{type(module).__name__}: not a layer that is known to be linear"


def _first(table: Mapping[str, str], path: str) -> str | None:
    return next((text for pattern, text in table.items() if re.search(pattern, path)), None)


def install(
    network: nn.Module, bases: Mapping[str, Basis], bits: int | None = None
) -> dict[str, SVFLayer]:
    """Replace each named linear layer by one that wears scales; the new layers by path.

    bits: of an entry of q: 32, 16 or 8; None is the dtype that the layer computes in.
    Raises: ModelError for a path without a linear layer, or for an architecture that cannot
        wear scales.
    """
    check_architecture(network)
    modules = dict(network.named_modules())
    layers: dict[str, SVFLayer] = {}
    for path, basis in bases.items():
        base: Any = modules.get(path)
        if type(base) not in _KINDS:
            raise ModelError(f"{path}: got {type(base).__name__}, expected a linear layer")
        layers[path] = svf_layer(base, basis, bits)
    network.update_modules(tree_unflatten(list(layers.items())))
    keep_order(network)
    return layers


def uninstall(network: nn.Module) -> None:
    """Put the untouched base layers back."""
    worn = [(p, m.base) for p, m in network.named_modules() if isinstance(m, SVFLayer)]
    network.update_modules(tree_unflatten(worn))
    lose_order(network)
