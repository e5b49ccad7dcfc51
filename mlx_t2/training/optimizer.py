"""The optimiser of the trained numbers and its learning rate. Knows arrays alone.

Differs (17): Adam at a constant rate, gradients clipped to norm 1, where the paper has AdamW, a
cosine and 1e-3.
"""

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim
from mlx.utils import tree_map

from mlx_t2.svf import Arrays

from .config import TrainConfig

OptimizerState = dict[str, Any]
"""{path: {moment: array}}, and a few numbers beside."""


class Optimizer:
    """Adam or AdamW as a pure step: parameters and state in, parameters and state out."""

    def __init__(self, config: TrainConfig):
        rate = learning_rate(config)
        # with bias correction: without it, MLX's first steps are several times too long
        self._inner = (
            optim.AdamW(rate, betas=[0.9, 0.999], weight_decay=0.01, bias_correction=True)
            if config.optimizer == "adamw"
            else optim.Adam(rate, betas=[0.9, 0.99], bias_correction=True)
        )

    def initial(self, parameters: Arrays) -> OptimizerState:
        """The state before the first step."""
        self._inner.init(parameters)
        return self._inner.state

    def step(
        self, parameters: Arrays, gradient: Arrays, state: OptimizerState
    ) -> tuple[Arrays, OptimizerState]:
        """The parameters and the state after one update."""
        self._inner.state = tree_map(lambda array: array, state)  # a copy, to be changed
        return self._inner.apply_gradients(gradient, parameters), self._inner.state


def learning_rate(config: TrainConfig) -> Callable[[mx.array], mx.array]:
    """The learning rate as a function of the updates done: it rises over `warmup` updates, then
    stays, or falls to 0 along half a cosine over the rest.
    """
    rest = max(1, config.steps - config.warmup)

    def rate(step: mx.array) -> mx.array:
        risen = mx.minimum((step + 1) / max(1, config.warmup), 1.0)
        if config.schedule == "constant":
            return config.lr * risen
        done = mx.clip((step - config.warmup) / rest, 0.0, 1.0)
        return config.lr * risen * 0.5 * (1 + mx.cos(math.pi * done))

    return rate
