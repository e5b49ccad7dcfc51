"""LoRA behind the interface of an SVF layer, so that the same training loop trains it. Used
only for comparison.
"""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from jaxtyping import Float
from mlx.utils import tree_unflatten

from mlx_t2.models import SVFModel
from mlx_t2.svf import Targets

_SCALE = 20.0
"""mlx-lm's default (`mlx_lm.lora`, lora_parameters)."""


class LoRALayer(nn.Module):
    """y = W x + scale · B A x with A = A₀ + (z_A − 1) and B = z_B − 1, z = (z_A, z_B) flat.

    z = 1 is the base layer, as with singular value scales; A₀ is drawn as mlx-lm draws it.
    Source: Hu et al. 2021, arXiv:2106.09685; mlx_lm/tuner/lora.py.
    """

    has_rows = False
    basis_bytes = 0

    def __init__(self, base: Any, rank: int, key: mx.array):
        super().__init__()
        self.base = base
        out, inner = base.weight.shape
        self._split, self.rank = rank * inner, rank
        self.shape = (rank * (inner + out),)
        bound = inner**-0.5
        self._start = mx.random.uniform(-bound, bound, (rank, inner), key=key)

    @property
    def z(self) -> mx.array | None:
        """The vector that is worn; None is the base layer."""
        return self.get("_z")

    def wear(self, z: mx.array | None) -> None:
        """Put A and B on; None takes them off."""
        self.pop("_z", None)
        if z is not None:
            self["_z"] = z

    def __call__(self, x: Float[mx.array, "*batch inner"]) -> Float[mx.array, "*batch out"]:
        y, z = self.base(x), self.z
        if z is None:
            return y
        a = self._start + (z[: self._split] - 1).reshape(self._start.shape)
        b = (z[self._split :] - 1).reshape(-1, self.rank)
        return y + _SCALE * ((x @ a.T) @ b.T)


def add_lora(model: SVFModel, targets: str = "mlp", rank: int = 8, seed: int = 0) -> SVFModel:
    """Put LoRA layers where SVF layers would be; returns the same model."""
    chosen = Targets(targets).select(model.network)
    keys = mx.random.split(mx.random.key(seed), len(chosen))
    layers: dict[str, Any] = {
        path: LoRALayer(base, rank, key)
        for (path, base), key in zip(chosen.items(), keys, strict=True)
    }
    model.network.update_modules(tree_unflatten(list(layers.items())))
    model.take_layers(layers, targets, None)
    return model
