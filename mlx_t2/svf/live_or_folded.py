"""Live or folded: the price of each way to wear scales on this machine, and the cheaper one.

Knows layers and what they cost; does not know models, and folds nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import mlx.core as mx

from .base_layer import Quantised, weight_shape
from .layer import SVFLayer, SVFMultiLinear

Form = Literal["live", "beside", "folded"]
"""How scales are worn: `live`, by the layer's own products; as a matrix `beside` its weight; or
`folded` into it.
"""


@dataclass(frozen=True)
class Speed:
    """How fast a machine computes."""

    operations_per_second: float
    """Floating-point operations, in a float32 product of two matrices."""
    bytes_per_second: float
    """Bytes read, in a product of a vector and a matrix, which is bound by memory."""


def cheaper_form(
    layers: Sequence[SVFLayer], tokens: int, steps: int, speed: Speed | None = None
) -> Form:
    """How to wear the layers' scales while one prompt is read and answered.

    Folding is paid once, live scales with every token. For one weight (out, in) with q (n, k):

        folded:  4 · out · in · k operations, once
        live:    4 · n · k operations per prompt token,
                 and q read twice, 2 · n · k entries, per token step

    Of a stack, all matrices are folded. Live, a token uses all heads; of the experts it uses at
    least one, which is what is counted. A quantised base that is folded to 16 bits is read at
    two or four times the bytes from then on, which is added to the price of folding.

    tokens: length of the prompt [tokens].
    steps: token steps after it.
    speed: the machine's; None measures this one's.
    """
    speed = speed or measure_speed()
    prices = [_seconds(layer, tokens, steps, speed) for layer in layers]
    live, folded = sum(pair[0] for pair in prices), sum(pair[1] for pair in prices)
    return "folded" if folded < live else "live"


def _seconds(layer: SVFLayer, tokens: int, steps: int, speed: Speed) -> tuple[float, float]:
    """(live, folded) price of one layer [s]."""
    *stack, out, inner = weight_shape(layer.base)
    matrices = stack[0] if stack else 1
    used = matrices if isinstance(layer, SVFMultiLinear) else 1
    n, k = min(out, inner), layer.shape[-1]
    operations = used * tokens * 4 * n * k
    read = used * steps * 2 * layer.basis_bytes / matrices
    live = operations / speed.operations_per_second + read / speed.bytes_per_second
    folded = matrices * 4 * out * inner * k / speed.operations_per_second
    if isinstance(layer.base, Quantised):
        more = max(layer.dtype.size - layer.base.bits / 8, 0)
        folded += used * steps * out * inner * more / speed.bytes_per_second
    return live, folded


@lru_cache(maxsize=1)
def measure_speed() -> Speed:
    """The speed of this machine, from one product of matrices and one of a vector and a matrix.

    Measured once per process: a load that changes would otherwise let two requests of one run
    choose different forms, whose roundings differ.
    """
    a = mx.random.normal((1024, 1024), key=mx.random.key(0))
    vector = a[:1]
    mx.eval(a, vector)
    return Speed(
        2 * 1024**3 / _best_seconds(lambda: a @ a), a.nbytes / _best_seconds(lambda: vector @ a)
    )


def _best_seconds(product: Callable[[], mx.array], tries: int = 5) -> float:
    """The shortest time of several [s]: the machine may be doing something else, too."""
    mx.eval(product())  # not timed: it wakes the libraries
    seconds = []
    for _ in range(tries):
        start = time.perf_counter()
        mx.eval(product())
        seconds.append(time.perf_counter() - start)
    return min(seconds)
