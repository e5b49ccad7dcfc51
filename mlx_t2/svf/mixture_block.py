"""mlx-lm's mixture-of-experts blocks, which sort tokens by expert and so lose a token's row.

Where the rows of a batch wear different scales, the layers inside have to know which row a
token came from: the blocks of a network are made to tell them. Knows mlx-lm's two blocks by
name.
"""

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import SwitchGLU, SwitchMLP

from .layer import SVFSwitchLinear


class _OrderedGLU(SwitchGLU):
    """mlx-lm's expert block, which tells its SVF layers how it is about to sort tokens."""

    def __call__(self, x: mx.array, indices: mx.array) -> mx.array:
        with _told(self, indices):
            return super().__call__(x, indices)


class _OrderedMLP(SwitchMLP):
    """The same for the block without a gate."""

    def __call__(self, x: mx.array, indices: mx.array) -> mx.array:
        with _told(self, indices):
            return super().__call__(x, indices)


class _told:
    """While this lasts, the SVF layers of a block know the order of its sorted tokens."""

    def __init__(self, block: nn.Module, indices: mx.array):
        children = block.children().values()
        self._layers = [c for c in children if isinstance(c, SVFSwitchLinear) and c.has_rows]
        self._indices = indices

    def __enter__(self) -> None:
        # The block sorts by the same operation on the same indices.
        order = mx.argsort(self._indices.flatten()) if self._layers else None
        for layer in self._layers:
            layer.check_rows(self._indices)
            layer.note_order(order)

    def __exit__(self, *_: object) -> None:
        for layer in self._layers:
            layer.note_order(None)


_ORDERED = {SwitchGLU: _OrderedGLU, SwitchMLP: _OrderedMLP}


def keep_order(network: nn.Module) -> None:
    """Make every such block tell its SVF layers the order; what it computes stays the same."""
    for module in network.modules():
        if type(module) in _ORDERED:
            module.__class__ = _ORDERED[type(module)]


def lose_order(network: nn.Module) -> None:
    """Make the blocks mlx-lm's own again."""
    plain = {ordered: kind for kind, ordered in _ORDERED.items()}
    for module in network.modules():
        if type(module) in plain:
            module.__class__ = plain[type(module)]
