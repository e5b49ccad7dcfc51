"""Tiny models in folders, loaded as anyone's, and what a random expert changes in them."""

import json
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from architectures import settings_of, tiny
from helpers import random_scales, tiny_tokenizer
from mlx.utils import tree_flatten
from mlx_lm.utils import quantize_model

from mlx_t2.adaptation import Adapted
from mlx_t2.models import SVFModel, load
from mlx_t2.svf import Recipe


def save_folder(folder: Path, architecture: str = "llama", bits: int | None = None) -> Path:
    """A random model of that architecture as a folder of mlx-lm's, quantised where asked."""
    settings = settings_of(architecture)
    network: nn.Module = tiny(architecture)
    if bits is not None:
        network, settings = quantize_model(network, settings, 32, bits)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(settings))
    weights = dict(tree_flatten(network.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def make_model(tmp_path) -> Callable[..., SVFModel]:
    """A saved tiny model, loaded, whose layers wear scales."""

    def make(
        architecture: str = "llama", bits: int | None = None, targets: str = "mlp"
    ) -> SVFModel:
        model = load(
            str(save_folder(tmp_path / f"base-{architecture}-{bits}", architecture, bits))
        )
        for _ in model.decompose(Recipe(targets=targets)):
            pass
        return model

    return make


@pytest.fixture
def heads_wear_scales(monkeypatch):
    """Stacks of one matrix per attention head wear scales too, where targets name them."""
    others = {r"lm_head|embed_tokens|gate$": "left alone"}
    monkeypatch.setattr("mlx_t2.svf.targets.EXCLUDED", others)


@pytest.fixture
def draw() -> Callable[..., Adapted]:
    """A random expert on every layer that wears scales."""

    def make(model: SVFModel, seed: int = 0, spread: float = 0.3, **fields) -> Adapted:
        scales = random_scales(model.shapes, seed, spread)
        return Adapted(scales, {"drawn": 1.0}, "drawn", **fields)

    return make
