"""The optimiser of the trained numbers and its learning rate. Knows arrays alone."""

import math
from collections.abc import Callable

import mlx.core as mx
import mlx.optimizers as optim

from .config import TrainConfig


def make_optimizer(config: TrainConfig) -> optim.Optimizer:
    """Adam or AdamW with bias correction: without it, MLX's first steps are several times too
    long.
    """
    lr = learning_rate(config)
    if config.optimizer == "adamw":
        return optim.AdamW(lr, betas=[0.9, 0.999], weight_decay=0.01, bias_correction=True)
    return optim.Adam(lr, betas=[0.9, 0.99], bias_correction=True)


def learning_rate(config: TrainConfig) -> Callable[[mx.array], mx.array]:
    """Of the update after `step` others: rises over `warmup` updates, then stays, or falls to 0
    along half a cosine over the rest.
    """
    rest = max(1, config.steps - config.warmup)

    def at(step: mx.array) -> mx.array:
        risen = mx.minimum((step + 1) / max(1, config.warmup), 1.0)
        if config.schedule == "constant":
            return config.lr * risen
        done = mx.clip((step - config.warmup) / rest, 0.0, 1.0)
        return config.lr * risen * 0.5 * (1 + mx.cos(math.pi * done))

    return at
