"""The base model as its files have it, and the layers of the live one that an expert changes.

Loading may widen weights; what is handed on should be no wider than the base. Knows models;
writes nothing.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.utils import load_config

from mlx_t2.errors import ConfigError, ModelError
from mlx_t2.models import SVFModel, find_folder, load
from mlx_t2.svf import BaseLayer, Scales, SVFLayer, activation_dtype


@dataclass(frozen=True)
class FileForm:
    """A model as its files have it; weights stay on disk until they are used."""

    folder: Path
    network: nn.Module

    @cached_property
    def config(self) -> dict[str, Any]:
        """What its `config.json` says."""
        return load_config(self.folder)

    def layer(self, path: str) -> BaseLayer:
        """The linear layer at `path`."""
        modules: Any = dict(self.network.named_modules())
        return modules[path]

    def dtype(self, path: str) -> mx.Dtype:
        """What the layer at `path` computes in."""
        return activation_dtype(self.layer(path))


def read_file_form(model: SVFModel) -> FileForm:
    """The files that `model` was loaded from, as a second network.

    Raises: ModelError where they are not there any more.
    """
    return FileForm(find_folder(model.source), load(model.source, lazy=True).network)


def changed_layers(model: SVFModel, scales: Scales) -> dict[str, SVFLayer]:
    """{module path: the layer} of every weight that the scales change, in path order.

    Raises: ConfigError where they change none; ModelError for layers of another kind.
    """
    modules = dict(model.network.named_modules())
    changed: dict[str, SVFLayer] = {}
    for path in sorted(scales):
        if mx.all(scales[path] == 1).item():
            continue
        layer = modules.get(path)
        if not isinstance(layer, SVFLayer):
            raise ModelError(
                f"{path}: got {type(layer).__name__}, expected a layer that wears scales"
            )
        changed[path] = layer
    if not changed:
        raise ConfigError("export: every scale is 1, expected an expert that changes the model")
    return changed
