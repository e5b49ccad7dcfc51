"""A hub id, a folder or an alias → SVFModel, through mlx-lm.

On a CPU backend half-precision and quantised products are some 50 times slower than float32
ones, so there the weights are widened to float32 as they are loaded; elsewhere they stay as
they come.
"""

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx_lm
from mlx.utils import tree_unflatten

from mlx_t2.errors import ModelError
from mlx_t2.svf import Quantised, base_layers, dense_weight, weight_key, with_weight

from .gguf import ALIASES, bundled_model_path, find_gguf
from .svf_model import SVFModel


def load(name: str = "smollm2-135m", lazy: bool = False) -> SVFModel:
    """The model called `name`: an alias, the path of an mlx-lm folder, or a hub id.

    lazy: weights stay on disk, in the form they have there, until they are used: for
        `SVFModel.precompute` and `SVFModel.survey`.
    Raises: ModelError where there is no such model or mlx-lm cannot read it.
    """
    source = _locate(name)
    try:
        loaded: Any = mlx_lm.load(source, lazy=lazy)
    except Exception as error:  # mlx-lm, the hub and transformers share no error type
        raise ModelError(
            f"{name}: mlx-lm cannot load it ({_first_line(error)}), expected smollm2-135m, the "
            "folder of an mlx-lm model or a hub id that can be reached"
        ) from error
    network, tokenizer = loaded
    slow = mx.default_device() == mx.Device(mx.cpu) and not lazy
    keys = _widen(network) if slow else {}
    return SVFModel(name, network, tokenizer, keys)


def _locate(name: str) -> str:
    if name in ALIASES:
        return str(bundled_model_path(name)) if find_gguf() else ALIASES[name]
    if Path(name).expanduser().exists():
        return str(Path(name).expanduser())
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(
            f"{name}: no such folder, expected an alias ({', '.join(ALIASES)}), an existing "
            "folder or a hub id like mlx-community/Qwen3-0.6B-4bit"
        )
    return name


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _widen(network: nn.Module) -> dict[str, str]:
    """Make every weight float32 in place; returns what each linear weight's key was before."""
    keys = {path: weight_key(layer) for path, layer in base_layers(network).items()}
    replaced = []
    for path, module in network.named_modules():
        if isinstance(module, Quantised):
            replaced.append((path, with_weight(module, dense_weight(module))))
        elif isinstance(module, nn.QuantizedEmbedding):
            table = nn.Embedding(1, 1)
            table.weight = dense_weight(module)
            replaced.append((path, table))
    network.update_modules(tree_unflatten(replaced))
    network.set_dtype(mx.float32)
    mx.eval(network.parameters())  # frees the narrow weights before anything else is allocated
    return keys
