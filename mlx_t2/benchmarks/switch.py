"""Switching to an expert, and the logits of the base model when it wears ones."""

from collections.abc import Iterator
from typing import Any

import mlx.core as mx

from mlx_t2.experts import Library
from mlx_t2.models import decompose, load
from mlx_t2.svf import dense_weight, ones

from .measurement import Measurement, interleave


def measure(runs: int = 5) -> Iterator[Measurement]:
    """Each measurement as it is made."""
    network = load().network
    tokens = mx.array([[1, 504, 3575, 282, 4649, 314]])
    plain = network(tokens)
    mx.eval(plain)
    model = decompose(load())
    scales = Library().find("largest").scales
    modules = dict(model.network.named_modules())
    factors = {p: mx.linalg.svd(dense_weight(modules[p].base), stream=mx.cpu) for p in scales}
    mx.eval(list(factors.values()))

    def ours() -> None:
        with model.using(scales):
            pass

    def other() -> None:
        for path, (u, s, vt) in factors.items():
            mx.eval((u[:, : s.size] * (s * scales[path])) @ vt[: s.size])

    against = "composing U diag(σ z) Vᵀ for all weights"
    yield Measurement(
        "switch to an expert", *interleave(ours, other, runs), against, target="500"
    )
    with model.using(ones(model.shapes)):
        worn = model.network(tokens)
    differing: Any = mx.sum(worn != plain) + mx.sum(model.network(tokens) != plain)
    yield Measurement(
        "logits that differ at z = 1", differing.item(), None, "plain mlx-lm", "logits", "0"
    )
