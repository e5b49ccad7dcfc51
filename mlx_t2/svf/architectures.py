"""What is known of mlx-lm's architectures by name: the page to edit when mlx-lm adds a model.

Which module paths are meant by `mlp` and `attention`, which layers never wear scales, which
weights are several matrices in one, and which architectures cannot be worn or trained. Knows
names; computes nothing.

Differs (15): where mlx-lm fuses several of the paper's matrices into one weight (queries, keys
and values; gate and up), that weight has one singular value decomposition and one z. The
reference decomposes each matrix, but its models do not fuse theirs.
"""

import re
from collections.abc import Mapping

import mlx.nn as nn

from mlx_t2.errors import ModelError

NAMED_TARGETS = {
    "mlp": r"\.(mlps?|\w+_mlp|mlp_block|feed_forward|ffn|moe|block_sparse_moe|experts)\."
    r"|\.mixer\.(up_proj|down_proj|fc\d\w*|shared_experts)",
    "attention": r"\.(self_attn|self_attention|attention|attn|linear_attn)\."
    r"|mixer\.([qkvo]_proj|qkv_proj|Wqkv)|\.temporal_block\.[qkvo]_proj",
    "all": r"",
}
"""Name of a set of targets → the module paths in it."""

EXCLUDED = {
    r"(^|\.)(lm_head|output$|embed_out$)": "the head, left alone as in the paper",
    r"(^|\.)(\w*embed\w*|wte|wpe)(\.|$)": "an embedding, left alone as in the paper",
    r"(^|\.)(gate|router)(\.|$)": "a router: it chooses experts",
    r"\.(shared_expert_gate|coefficient)$": "a gate that weighs experts",
    r"(^|\.)(indexer\.|index_[qk]_proj)": "an indexer: it chooses tokens, and has no gradient",
    r"(^|\.)altup\.": "its weight is read and replaced in every forward pass",
    r"_res_proj$": "its weight is read without the layer being called",
}
"""Module path → why the layer wears no scales."""

FUSED = {
    r"(qkv_proj|query_key_value|Wqkv|wqkv|W_pack|c_attn)$": "queries, keys and values",
    r"gate_up_proj$": "gate and up",
    r"in_proj\w*$": "several inputs of a mixer",
}
"""Module path → the matrices that are stacked in its one weight."""

REFUSED = {
    "bitnet": "its ternary weights are multiplied by a Metal kernel of their own",
    "kimi_k3": "its decoding step is compiled with the weights of its first token in it",
    "muse_spark": "its kernels exist on Metal alone and have no gradient",
    "prism_hadamard_qwen35": "its weights are rotated and then rounded to 2 bits",
}
"""Architecture → why it cannot wear scales."""

UNTRAINABLE = {
    "deepseek_v41": "mlx-lm chooses its tokens by an operation that MLX cannot differentiate",
}
"""Architecture → why its z has no gradient; it can still wear experts."""


def architecture(network: nn.Module) -> str:
    """mlx-lm's name for the network's architecture: the file that its class is in."""
    return type(network).__module__.rpartition(".")[2]


def check_architecture(network: nn.Module) -> None:
    """Raise ModelError for an architecture that cannot wear scales."""
    name = architecture(network)
    if name in REFUSED:
        raise ModelError(f"{name}: cannot wear singular value scales: {REFUSED[name]}")


def check_trainable(network: nn.Module) -> None:
    """Raise ModelError for an architecture whose z has no gradient."""
    name = architecture(network)
    if name in UNTRAINABLE:
        raise ModelError(f"{name}: cannot be trained: {UNTRAINABLE[name]}")


def look_up(table: Mapping[str, str], path: str) -> str | None:
    """The text of the table's first pattern that is found in `path`; None where none is."""
    return next((text for pattern, text in table.items() if re.search(pattern, path)), None)
