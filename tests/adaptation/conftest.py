"""Three experts with random scales, the way tests of the first pass need them."""

from collections.abc import Callable

import pytest
from helpers import random_scales

from mlx_t2.experts import Expert
from mlx_t2.svf import Recipe


@pytest.fixture
def make_expert(tiny_model) -> Callable[..., Expert]:
    """An expert of the tiny model for any targets and rank; keywords replace any field."""

    def make(name="drawn", seed=0, targets="mlp", rank=None, spread=0.1, **changes) -> Expert:
        shapes = tiny_model.plan(Recipe(targets=targets, rank=rank)).shapes
        fields = {
            "name": name,
            "scales": random_scales(shapes, seed, spread),
            "base_model": tiny_model.name,
            "base_fingerprint": tiny_model.fingerprint(targets),
            "targets": targets,
            "rank": rank,
            "task": name,
            "seed": seed,
            "config": {},
            "metrics": {},
        }
        return Expert(**fields | changes)

    return make


@pytest.fixture
def experts(make_expert) -> dict[str, Expert]:
    """Deviations of the size that training gives; the third leaves one layer alone."""
    names = ("largest", "expression", "kind")
    made = {name: make_expert(name, seed) for seed, name in enumerate(names)}
    del made["kind"].scales[min(made["kind"].scales)]
    return made
