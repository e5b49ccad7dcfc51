"""Speed, memory and exactness, ours beside another's: one file per suite of `t2 bench`.

Knows every room below, and the other sides: PyTorch, NumPy, mlx-lm. Does not know how the
bundled experts were made, nor what was measured before.
"""

from collections.abc import Callable, Iterator

from . import (
    decode,
    decompose,
    programs,
    search,
    second_turn,
    serve,
    switch,
    train_step,
    two_pass,
)
from .measurement import DEFAULT_MODEL as DEFAULT_MODEL
from .measurement import Measurement as Measurement

SUITES: dict[str, Callable[[int], Iterator[Measurement]]] = {
    "decompose": decompose.measure,
    "switch": switch.measure,
    "decode": decode.measure,
    "two-pass": two_pass.measure,
    "chat": second_turn.measure,
    "serve": serve.measure,
    "train-step": train_step.measure,
    "search": search.measure,
    "programs": programs.measure,
}
"""Name of a suite → what measures it, given the number of runs of each side."""

ON_ANY_MODEL: dict[str, Callable[[int, str], Iterator[Measurement]]] = {
    "decode": decode.measure,
    "train-step": train_step.measure,
}
"""The suites that take the name of a model, too."""
