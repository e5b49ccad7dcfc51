"""Three experts with random scales, the way tests of the first pass need them."""

import mlx.core as mx
import pytest

from mlx_t2.experts import Expert


@pytest.fixture
def experts(tiny_model) -> dict[str, Expert]:
    """Deviations of the size that training gives; the third leaves one layer alone."""
    made = {}
    for seed, name in enumerate(("mathematics", "code", "reasoning")):
        keys = mx.random.split(mx.random.key(seed), len(tiny_model.ranks))
        scales = {
            path: 1 + 0.1 * mx.random.normal((rank,), key=key)
            for (path, rank), key in zip(tiny_model.ranks.items(), keys, strict=True)
        }
        if name == "reasoning":
            del scales[min(scales)]
        made[name] = Expert(
            name=name,
            scales=scales,
            base_model=tiny_model.name,
            base_fingerprint=tiny_model.fingerprint("mlp"),
            targets="mlp",
            rank="full",
            task=name,
            seed=seed,
            config={},
            metrics={},
        )
    return made
