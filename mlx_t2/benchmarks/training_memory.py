"""The memory that training an expert of an 8B llama in 4 bits takes, part by part, and what
fits into Macs of 16, 32 and 64 GB. Needs no 8B model.

Weights, bases and z are counted from shapes. What a gradient pass takes per token is measured,
by the plan of `t2 train --dry-run`, on a llama of the same proportions a sixteenth as wide, of
two and of four layers: it grows in proportion to the width and to the layers.

    per token = width · (head + layers · layer)
"""

from collections.abc import Iterator

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models import llama

from mlx_t2.models import SVFModel, decompose
from mlx_t2.svf import ActsOn
from mlx_t2.training import Costs, TrainConfig, find_costs

from .forms_read import count_quantised
from .four_bit_copy import lending_cache
from .measurement import Measurement
from .predictions import LLAMA_8B

_NARROW = 16
"""How many times as wide the 8B llama is."""
_LAYERS = 32
_HIDDEN, _INTERMEDIATE, _HEADS, _KEY_VALUE_HEADS, _VOCABULARY = 4096, 14336, 32, 8, 128256
_PROMPT, _COMPLETION, _GROUP = 256, 128, 8
"""Tokens of a prompt and of each of its completions, and how many it has."""
MACS = {16: 10.7, 32: 21.3, 64: 48.0}
"""{memory of a Mac: what macOS lets a GPU keep of it by default} [GB]: two thirds, and three
quarters above 36 GB.
"""


def measure(_: int) -> Iterator[Measurement]:
    """Each part as it is known; one measurement is enough, memory does not scatter."""
    prompts = f"prompts of {_PROMPT} tokens, completions of {_COMPLETION}"
    held = _count_held()
    for name, size in held.items():
        yield Measurement(f"8B in 4 bits, {name}", size / 1e6, None, "from shapes", "MB")
    row = _key_value_bytes() * (_PROMPT + _COMPLETION) + 16 * _VOCABULARY
    yield Measurement(
        f"8B in 4 bits, a completion that is decoded, {prompts}", row / 1e6, None, "", "MB"
    )
    kinds: tuple[ActsOn, ...] = ("answer", "all")
    for acts_on in kinds:
        for checkpointing in (False, True):
            yield from _fit(acts_on, checkpointing, sum(held.values()), row)


def _fit(
    acts_on: ActsOn, checkpointing: bool, held: float, row: float
) -> Iterator[Measurement]:
    """A gradient pass over one group, and how many completions fit into each Mac."""
    costs = scale_costs(acts_on, checkpointing)
    how = f"acts on {acts_on}{', checkpointing' if checkpointing else ''}"
    pass_bytes = costs.pass_bytes(_GROUP, _GROUP, _PROMPT, _COMPLETION)
    name = f"8B in 4 bits, gradient pass of {_GROUP} completions, {how}"
    fits = ", ".join(
        f"{memory} GB: {count_rows(costs, 1e9 * limit - held)} and "
        f"{max(0, int((1e9 * limit - held) / (1.25 * row)))}"
        for memory, limit in MACS.items()
    )
    yield Measurement(name, pass_bytes / 1e6, None, f"rows per pass and decoded: {fits}", "MB")


def count_rows(costs: Costs, room: float, most: int = 72) -> int:
    """How many completions a gradient pass has room for [bytes]; at most those of a step.

    >>> count_rows(Costs(0, 0, 1, 0, 0), 1000.0), count_rows(Costs(10, 0, 1, 0, 0), 1.0)
    (6, 0)
    """
    return next(
        (
            rows
            for rows in range(most, 0, -1)
            if costs.pass_bytes(rows, _GROUP, _PROMPT, _COMPLETION) <= room
        ),
        0,
    )


def _count_held() -> dict[str, float]:
    squares = sum(shape.n**2 for shape in LLAMA_8B.mlp)
    embedding = count_quantised(_VOCABULARY * _HIDDEN, 4)  # beside the head, not tied to it
    scales = 4 * sum(shape.n for shape in LLAMA_8B.mlp)
    return {
        "weights": LLAMA_8B.base_bytes + embedding,
        "bases in 16 bits (8: half, 4: a quarter)": 2.0 * squares,
        "z, its gradient and optimiser": 5.0 * scales,
    }


def _key_value_bytes() -> float:
    """Keys and values of one token, in 16 bits."""
    return 2 * 2 * _LAYERS * _KEY_VALUE_HEADS * _HIDDEN / _HEADS


def scale_costs(acts_on: ActsOn, checkpointing: bool) -> Costs:
    """The costs of the 8B llama, from those of two narrow ones."""
    config = TrainConfig(acts_on=acts_on, checkpointing=checkpointing)
    with lending_cache():
        few, more = (find_costs(_narrow_llama(layers), config) for layers in (2, 4))

    def grow(name: str) -> float:
        start, end = vars(few)[name], vars(more)[name]
        per_layer = (end - start) / 2
        return max(0.0, _NARROW * (start + (_LAYERS - 2) * per_layer))

    names = ("fixed", "prompt_token", "completion_token", "copied_token")
    return Costs(*map(grow, names), scores=16.0 * _VOCABULARY)


def _narrow_llama(layers: int) -> SVFModel:
    """In 4 bits, half precision, random."""
    args = llama.ModelArgs(
        model_type="llama",
        hidden_size=_HIDDEN // _NARROW,
        num_hidden_layers=layers,
        intermediate_size=_INTERMEDIATE // _NARROW,
        num_attention_heads=_HEADS,
        num_key_value_heads=_KEY_VALUE_HEADS,
        rms_norm_eps=1e-5,
        vocab_size=_VOCABULARY // _NARROW,
        tie_word_embeddings=False,
    )
    network = llama.Model(args)
    network.set_dtype(mx.bfloat16)
    nn.quantize(network, group_size=64, bits=4)
    return decompose(SVFModel("narrow", network, None))
