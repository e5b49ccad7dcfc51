"""mlx-lm's mixture-of-experts blocks, made to tell their SVF layers how they sort tokens.

With many tokens, a block sorts them by expert, so that each expert's matrix is read once:

    tokens of 2 rows       a0 a1 b0 b1
    expert of each          2  0  1  0
    what a layer sees      a1 b1 b0 a0      the rows are mixed

Where rows wear different scales, a layer has to know the row of each token. So a subclass of
each block works out the same order beforehand and hands it to its layers; what the block
computes stays the same. Knows mlx-lm's two blocks by name; does not know networks.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import SwitchGLU, SwitchMLP

from .layer import SVFSwitchLinear


class _OrderedGLU(SwitchGLU):
    """mlx-lm's block of experts with a gate."""

    def __call__(self, x: mx.array, indices: mx.array) -> mx.array:
        with _known_order(self, indices):
            return super().__call__(x, indices)


class _OrderedMLP(SwitchMLP):
    """The block without a gate."""

    def __call__(self, x: mx.array, indices: mx.array) -> mx.array:
        with _known_order(self, indices):
            return super().__call__(x, indices)


@contextmanager
def _known_order(block: nn.Module, indices: mx.array) -> Iterator[None]:
    """Inside the `with`, the SVF layers of a block know the order of its sorted tokens."""
    children = block.children().values()
    layers = [c for c in children if isinstance(c, SVFSwitchLinear) and c.has_rows]
    # The block sorts by the same operation on the same indices.
    order = mx.argsort(indices.flatten()) if layers else None
    try:
        for layer in layers:
            layer.check_rows(indices)
            layer.note_order(order)
        yield
    finally:
        for layer in layers:
            layer.note_order(None)


_ORDERED = {SwitchGLU: _OrderedGLU, SwitchMLP: _OrderedMLP}


def keep_order(network: nn.Module) -> None:
    """Make every such block of a network tell its SVF layers the order."""
    for module in network.modules():
        if type(module) in _ORDERED:
            module.__class__ = _ORDERED[type(module)]


def lose_order(network: nn.Module) -> None:
    """Make the blocks mlx-lm's own again."""
    plain = {ordered: block for block, ordered in _ORDERED.items()}
    for module in network.modules():
        if type(module) in plain:
            module.__class__ = plain[type(module)]
