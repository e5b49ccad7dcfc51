"""Experts of a small imagined model, without training any."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from mlx_t2.experts import Expert

UP, DOWN, SWITCH = (f"model.layers.0.mlp.{name}" for name in ("up_proj", "down_proj", "switch"))


@pytest.fixture
def make_expert() -> Callable[..., Expert]:
    """Experts whose z are drawn around 1 from a seed; keywords replace any field."""

    def make(seed: int = 0, **changes: Any) -> Expert:
        draw = np.random.default_rng(seed)
        shapes = {UP: (5,), DOWN: (7,), SWITCH: (3, 4)}
        drawn = {path: draw.normal(1, 0.5, shape) for path, shape in shapes.items()}
        fields = {
            "name": f"expert-{seed}",
            "scales": {path: mx.array(z.astype(np.float32)) for path, z in drawn.items()},
            "base_model": "tiny",
            "base_fingerprint": "ab12" * 16,
            "targets": "mlp",
            "rank": None,
            "task": "largest",
            "seed": seed,
            "config": {"lr": 5e-3, "steps": 20},
            "metrics": {"base": 0.25, "final": 0.75, "items": 200},
        }
        return Expert(**fields | changes)

    return make
