"""Whether a written export is the expert: it is loaded as anyone would, and compared with the
live expert, weight by weight and in what it predicts.

With c = what the expert changes and a = what the export changes, of the weights or of the
logits:

    share = ⟨a, c⟩ / |c|²        correlation = ⟨a, c⟩ / (|a| |c|)

Knows models; writes nothing.
"""

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from jaxtyping import Float
from mlx_lm.tuner.lora import LoRALinear, LoRASwitchLinear

from mlx_t2.adaptation import Adapted
from mlx_t2.models import SVFModel, check_tokens
from mlx_t2.svf import Fidelity, SVFLayer, dense_weight

PROMPTS = (
    "Hi",
    "What is the capital of France?",
    "Two trains leave at noon, one of them is late. Which one arrives first?",
)
"""What both are asked: questions of unlike lengths."""
NOISE = 1e-5
"""A change of the logits below this part of them is rounding, not an expert."""


@dataclass(frozen=True)
class Verified:
    """What is left of an expert in an export."""

    weights: Fidelity
    """What all changed weights keep together."""
    worst: tuple[str, Fidelity]
    """The weight that keeps least: its module path, and what it keeps."""
    logits: Fidelity
    """What the scores of the next token keep, at every position of the prompts."""
    largest_gap: float
    """The largest difference of any logit from the live expert's."""
    largest_change: float
    """The largest difference of any logit between the live expert and the base model."""
    tokens: int
    """How many positions were compared."""

    @property
    def least(self) -> float:
        """The smaller of share and correlation, of weights or logits; NaN where one is NaN."""
        numbers = (self.weights, self.logits)
        return float(np.min([n for f in numbers for n in (f.share, f.correlation)]))


def verify(
    model: SVFModel, adapted: Adapted, exported: SVFModel, layers: dict[str, SVFLayer]
) -> Verified:
    """Compare `exported` with `model` under the scales of `adapted`, worn on all it reads.

    layers: the layers of `model` that are changed.
    """
    prompts = [
        model.encode([*adapted.prompt, {"role": "user", "content": text}]) for text in PROMPTS
    ]
    check_tokens(model, prompts)
    with model.using({}):
        base = _logits(model, prompts)
    with model.using(adapted.scales):
        live = _logits(model, prompts)
        weights = _compare_weights(layers, dict(exported.network.named_modules()))
    other = _logits(exported, prompts)
    worst = min(weights, key=lambda path: min(_ratios(*weights[path])))
    return Verified(
        Fidelity(*_ratios(*sum(weights.values(), start=np.zeros(3)))),
        (worst, Fidelity(*_ratios(*weights[worst]))),
        _compare_logits(base, live, other),
        max(map(_largest_gap, other, live)),
        max(map(_largest_gap, live, base)),
        sum(map(len, prompts)),
    )


def effective_weight(module: nn.Module) -> Float[mx.array, "*stack out inner"]:
    """The weight that a layer computes with, low-rank terms included, in float32."""
    layer: Any = module
    if isinstance(module, LoRALinear):
        return dense_weight(layer.linear) + layer.scale * _product(layer.lora_a, layer.lora_b).T
    if isinstance(module, LoRASwitchLinear):
        return dense_weight(layer.linear) + layer.scale * _product(layer.lora_b, layer.lora_a)
    return dense_weight(layer)


def _product(left: mx.array, right: mx.array) -> mx.array:
    return left.astype(mx.float32) @ right.astype(mx.float32)


def _logits(model: SVFModel, prompts: list[list[int]]) -> list[mx.array]:
    """The scores of the next token at every position of each prompt, (tokens, vocabulary)."""
    scores = [model.logits_at(mx.array([ids]), None, mx.arange(len(ids))) for ids in prompts]
    mx.eval(scores)  # under the scales of now
    return scores


def _compare_weights(
    layers: dict[str, SVFLayer], exported: dict[str, nn.Module]
) -> dict[str, np.ndarray]:
    """{module path: the three products of what was meant and what was written}."""
    products = {}
    for path, layer in layers.items():
        base, live = dense_weight(layer.base), layer.folded_weight()
        products[path] = _products(live - base, effective_weight(exported[path]) - base)
    return products


def _products(meant: mx.array, got: mx.array) -> np.ndarray:
    """⟨got, meant⟩, |meant|², |got|²."""
    sums: Any = mx.stack([(meant * got).sum(), (meant**2).sum(), (got**2).sum()])
    return np.array(sums.tolist())


def _ratios(common: float, meant: float, got: float) -> tuple[float, float]:
    """(share, correlation). Of no change, no change is all of it."""
    if meant == 0:
        return (1.0, 1.0) if got == 0 else (0.0, 0.0)
    lengths = np.sqrt(meant * got)
    return float(common / meant), float(common / lengths if lengths else 0.0)


def _compare_logits(
    base: list[mx.array], live: list[mx.array], other: list[mx.array]
) -> Fidelity:
    pairs = [(of - b, got - b) for b, of, got in zip(base, live, other, strict=True)]
    products = sum((_products(*pair) for pair in pairs), start=np.zeros(3))
    scale = NOISE**2 * sum(_products(b, b)[1] for b in base)
    if products[1] <= scale and products[2] <= 4 * scale:
        return Fidelity(1.0, 1.0)
    return Fidelity(*_ratios(*products))


def _largest_gap(one: mx.array, other: mx.array) -> float:
    return float(np.max(np.abs(np.array(one - other))))
