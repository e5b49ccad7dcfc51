"""Speed, memory and exactness, ours beside another's: one file per suite of `t2 bench`.

Knows every room below, and the other sides: PyTorch, NumPy, mlx-lm. Does not know how the
bundled experts were made, nor what was measured before.
"""

from collections.abc import Callable, Iterator

from . import (
    beside,
    decode,
    decompose,
    profile,
    programs,
    search,
    second_turn,
    serve,
    switch,
    train_step,
    training_memory,
    two_pass,
)
from .forms_read import BIG as BIG
from .forms_read import WAYS as WAYS
from .forms_read import count_bytes as count_bytes
from .forms_read import count_quantised as count_quantised
from .four_bit_copy import load_unwidened as load_unwidened
from .four_bit_copy import open_copy as open_copy
from .kept_change import measure_kept as measure_kept
from .measurement import DEFAULT_MODEL as DEFAULT_MODEL
from .measurement import Measurement as Measurement
from .predictions import LLAMA_8B as LLAMA_8B
from .predictions import PREDICTED as PREDICTED
from .predictions import PUBLISHED as PUBLISHED
from .predictions import predict as predict

SUITES: dict[str, Callable[[int], Iterator[Measurement]]] = {
    "decompose": decompose.measure,
    "switch": switch.measure,
    "decode": decode.measure,
    "beside": beside.measure,
    "profile": profile.measure,
    "memory": training_memory.measure,
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
    "beside": beside.measure,
    "train-step": train_step.measure,
}
"""The suites that take the name of a model, too."""
