"""A hub id, a folder or an alias → SVFModel, through mlx-lm.

On a CPU backend half-precision and quantised products are some 50 times slower than float32
ones, so there the weights are widened to float32 as they are loaded; elsewhere they stay as
they come.
"""

import glob
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx_lm
from mlx.utils import tree_unflatten

from mlx_t2.errors import ModelError
from mlx_t2.svf import Quantised, base_layers, dense_weight, weight_key, with_weight

from .gguf import ALIASES, bundled_model_path, find_gguf
from .hub import download
from .svf_model import SVFModel


def load(
    name: str = "smollm2-135m", lazy: bool = False, adapter: Path | None = None
) -> SVFModel:
    """The model called `name`: an alias, the path of an mlx-lm folder, or a hub id.

    A folder's model is called as the folder, wherever that lies.

    lazy: weights stay on disk, in the form they have there, until they are used: for
        `SVFModel.precompute` and `SVFModel.plan`.
    adapter: a folder of mlx-lm's, with weights or low-rank terms that change the model's.
    Raises: ModelError where there is no such model or mlx-lm cannot read it.
    """
    folder = find_folder(name)
    _check_files(name, folder)
    try:
        with _without_patterns(folder) as plain:
            worn = None if adapter is None else str(adapter)
            loaded: Any = mlx_lm.load(str(plain), adapter_path=worn, lazy=lazy)
    except Exception as error:  # mlx-lm and transformers share no error type
        raise ModelError(
            f"{name}: mlx-lm cannot load it ({_one_line(error)}), expected smollm2-135m, the "
            "folder of an mlx-lm model or a hub id"
        ) from error
    network, tokenizer = loaded
    slow = mx.default_device() == mx.Device(mx.cpu) and not lazy
    keys = _widen(network) if slow else {}
    return SVFModel(_called(name), network, tokenizer, keys, source=name)


def hub_id(name: str) -> str | None:
    """The id that `load` asks the hub for; None where it does not."""
    if name in ALIASES:
        return None if find_gguf() else ALIASES[name]
    if Path(name).expanduser().exists():
        return None
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(
            f"{name}: no such folder, expected an alias ({', '.join(ALIASES)}), an existing "
            "folder or a hub id like mlx-community/Qwen3-0.6B-4bit"
        )
    return name


def find_folder(name: str) -> Path:
    """The folder of the model called `name`, downloaded or converted where it has to be.

    Raises: ModelError where there is no such model.
    """
    if (repo := hub_id(name)) is not None:
        return download(repo)
    return bundled_model_path(name) if name in ALIASES else Path(name).expanduser()


def _called(name: str) -> str:
    """An alias or a hub id as it is; a folder by its last part, or as the hub's copy in it."""
    path = Path(name).expanduser()
    if name in ALIASES or not path.exists():
        return name
    full = os.path.abspath(path)
    copied = re.search(r"models--([^/]+)--([^/]+)/snapshots/[^/]+$", full)
    return "/".join(copied.groups()) if copied else os.path.basename(full) or name


def _check_files(name: str, folder: Path) -> None:
    """Raise ModelError for a folder that lacks files it says it has."""
    if not folder.is_dir():
        raise ModelError(f"{name}: a file, expected the folder of an mlx-lm model")
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return
    try:
        parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # mlx-lm does not need it
    missing = sorted(part for part in parts if not (folder / str(part)).is_file())
    if missing and not any(folder.glob("model.safetensors")):
        raise ModelError(
            f"{name}: {len(missing)} of its {len(parts)} files of weights are missing, the "
            f"first is {missing[0]}. The download or copy is not complete: get it again"
        )


@contextmanager
def _without_patterns(folder: Path) -> Iterator[Path]:
    """A path to the folder in which no character is a pattern: mlx-lm searches it with `glob`,
    to which `Llama [4bit]` is a pattern that its own name does not match.
    """
    if glob.escape(str(folder)) == str(folder):
        yield folder
        return
    with TemporaryDirectory() as scratch:
        link = Path(scratch) / "model"
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link


def _one_line(error: Exception) -> str:
    """All that it says, names of weights among it, up to a length."""
    words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return words if len(words) <= 300 else f"{words[:300]} …"


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
