"""The states between the blocks of a network: what a prompt is about shows there more plainly
than after the last block, which is busy with the next token.

Knows where mlx-lm's networks keep their blocks; does not know what the states are for.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from jaxtyping import Float, Integer

from mlx_t2.errors import ModelError
from mlx_t2.models import SVFModel


def count_blocks(model: SVFModel) -> int:
    """How many blocks the network has; 0 where mlx-lm does not list them."""
    return len(_blocks(model))


def last_states(
    model: SVFModel,
    tokens: Integer[mx.array, "B T"],
    caches: list | None,
    blocks: Sequence[int] = (),
) -> Float[mx.array, "B D"]:
    """The last column's states after each of these blocks side by side; after the final norm
    where there are none. Lazily: what lies above the highest block is not computed.

    Raises: ModelError for a block that the network does not have, or where mlx-lm does not
        give the states after the final norm.
    """
    if not blocks:
        return model.hidden(tokens, caches)[:, -1]
    if max(blocks) >= count_blocks(model):
        raise ModelError(
            f"{model.name}: got block {max(blocks)}, expected one of its {count_blocks(model)}"
        )
    with _catching(model, blocks) as caught:
        model.logits_at(tokens, caches, mx.arange(1))  # any architecture; never computed
    return mx.concatenate([caught[block][:, -1] for block in blocks], axis=-1)


def _blocks(model: SVFModel) -> list[nn.Module]:
    network: Any = model.network
    return [block for block in getattr(network, "layers", ()) if isinstance(block, nn.Module)]


@contextmanager
def _catching(model: SVFModel, wanted: Sequence[int]) -> Iterator[dict[int, mx.array]]:
    """Inside the block, {number of a block: the states that it returned last}.

    The class is what a call goes to, so that is where it is caught, for these blocks alone.
    """
    blocks, caught = _blocks(model), {}
    numbers = {id(blocks[number]): number for number in wanted}
    kinds = {type(blocks[number]) for number in wanted}
    before = {kind: (kind.__call__, "__call__" in vars(kind)) for kind in kinds}
    try:
        for kind, (call, _) in before.items():
            kind.__call__ = _listen(call, numbers, caught)
        yield caught
    finally:
        for kind, (call, is_own) in before.items():
            if is_own:
                kind.__call__ = call
            else:
                del kind.__call__


def _listen(call: Callable, numbers: dict[int, int], caught: dict[int, mx.array]) -> Callable:
    """`call`, and what it returns for these blocks is kept."""

    def listening(block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        result = call(block, *args, **kwargs)
        if id(block) in numbers:
            states = result if isinstance(result, mx.array) else result[0]
            caught[numbers[id(block)]] = states
        return result

    return listening
