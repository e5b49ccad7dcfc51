"""Measurements that made the README's numbers. Knows every room below; no room knows it."""

from collections.abc import Callable, Iterator

from . import decode, decompose, switch, train_step, two_pass
from .bundle import build as build
from .measure import Row as Row
from .study import study as study

SUITES: dict[str, Callable[[int], Iterator[Row]]] = {
    "decompose": decompose.measure,
    "switch": switch.measure,
    "decode": decode.measure,
    "two-pass": two_pass.measure,
    "train-step": train_step.measure,
}
"""Name of `t2 bench` → what measures it, so many times."""
