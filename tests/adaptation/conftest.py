"""Three experts with random scales, the way tests of the first pass need them."""

import pytest
from helpers import random_scales

from mlx_t2.experts import Expert


@pytest.fixture
def experts(tiny_model) -> dict[str, Expert]:
    """Deviations of the size that training gives; the third leaves one layer alone."""
    made = {}
    for seed, name in enumerate(("largest", "expression", "kind")):
        scales = random_scales(tiny_model.shapes, seed, spread=0.1)
        if name == "kind":
            del scales[min(scales)]
        made[name] = Expert(
            name=name,
            scales=scales,
            base_model=tiny_model.name,
            base_fingerprint=tiny_model.fingerprint("mlp"),
            targets="mlp",
            rank=None,
            task=name,
            seed=seed,
            config={},
            metrics={},
        )
    return made
