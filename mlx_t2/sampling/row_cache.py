"""Keys and values of a batch of rows, in the form that both sampling and gradients want.

mlx-lm's own batch cache keeps spare room and shifts padding to the left: its copies and
scatters cost more than the attention itself in a gradient pass. This one appends, and masks
padding where it lies. It stands in for `KVCache` alone; other caches (rotating, recurrent) stay
mlx-lm's.
"""

from collections.abc import Sequence

import mlx.core as mx
from jaxtyping import Bool, Float
from mlx_lm.models.cache import BatchKVCache, KVCache, make_prompt_cache

from mlx_t2.errors import ModelError
from mlx_t2.models import SVFModel
from mlx_t2.svf import architecture

_ROOM = 32
"""Columns added at a time while decoding."""


class RowCache:
    """One layer's keys and values; follows the methods that mlx-lm's models and generators
    call.
    """

    def __init__(self):
        self.keys: mx.array | None = None
        self.values: mx.array | None = None
        self.offset = mx.array([0])
        """The next position of each row."""
        self._is_real = mx.zeros((1, 0), dtype=mx.bool_)
        """Which columns hold a token of the row, not padding."""
        self._used = 0
        self._padding: list[int] = []

    def update_and_fetch(
        self, keys: Float[mx.array, "B heads T d"], values: Float[mx.array, "B heads T e"]
    ) -> tuple[mx.array, mx.array]:
        """Append and return all keys and values so far."""
        start, self._used = self._used, self._used + keys.shape[2]
        self.offset = self.offset + keys.shape[2]
        if self.keys is None or self.values is None:
            self.keys, self.values = keys, values
        elif keys.shape[2] > 1:
            self.keys = mx.concatenate([self.keys[..., :start, :], keys], axis=2)
            self.values = mx.concatenate([self.values[..., :start, :], values], axis=2)
        else:
            if self.keys.shape[2] < self._used:
                self.keys, self.values = _widened(self.keys), _widened(self.values)
            self.keys[..., start : self._used, :] = keys
            self.values[..., start : self._used, :] = values
        return self.keys[..., : self._used, :], self.values[..., : self._used, :]

    def make_mask(
        self, N: int, return_array: bool = False, window_size: int | None = None
    ) -> Bool[mx.array, "B 1 N T"]:
        """Which columns each of the next N tokens may see."""
        columns = mx.arange(self._used + N)
        tokens = mx.arange(self._used, self._used + N)[:, None]
        new = mx.ones((self._is_real.shape[0], N), dtype=mx.bool_)
        real = mx.concatenate([self._columns(), new], axis=1)
        seen = (tokens >= columns) & real[:, None, :]
        if window_size is not None:  # of positions: padding takes none
            position = mx.cumsum(real.astype(mx.int32), axis=1)
            seen = seen & (position[:, -N:, None] < position[:, None, :] + window_size)
        return seen[:, None]

    def _columns(self) -> Bool[mx.array, "B T"]:
        late = self._used - self._is_real.shape[1]
        real = mx.ones((self._is_real.shape[0], late), dtype=mx.bool_)
        return mx.concatenate([self._is_real, real], axis=1)

    def prepare(self, *, lengths: Sequence[int], right_padding: Sequence[int]) -> None:
        """The next columns end in so much padding a row."""
        self._padding = list(right_padding)

    def finalize(self) -> None:
        """The padding announced has been read: hide it, and take it off the positions."""
        padding = mx.array(self._padding)
        self._is_real = self._columns() & (
            mx.arange(self._used) < self._used - padding[:, None]
        )
        self.offset = self.offset - padding

    def filter(self, rows: mx.array) -> None:
        """Keep these rows, in this order."""
        self._is_real = self._columns()[rows]
        self.offset = self.offset[rows]
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self.keys[rows], self.values[rows]

    def repeat(self, copies: int) -> None:
        """Every row so many times in turn. Unlike `filter`, its gradient is a sum, not a
        scatter.
        """
        self._is_real = mx.repeat(self._columns(), copies, axis=0)
        self.offset = mx.repeat(self.offset, copies)
        if self.keys is not None and self.values is not None:
            self.keys = mx.repeat(self.keys[..., : self._used, :], copies, axis=0)
            self.values = mx.repeat(self.values[..., : self._used, :], copies, axis=0)


def _widened(array: mx.array) -> mx.array:
    return mx.pad(array, [(0, 0), (0, 0), (0, _ROOM), (0, 0)])


UNBATCHED = {
    **dict.fromkeys(
        (
            *("afm7", "bailing_moe_linear", "baichuan_m1", "jamba", "longcat_flash_ngram"),
            *("mamba", "minimax_m3_vl", "nemotron_h", "olmo_hybrid", "recurrent_gemma"),
            "rwkv7",
        ),
        "rows that a batch pads come out wrong",
    ),
    **dict.fromkeys(
        ("gemma2", "gemma3n", "gpt_bigcode", "nemotron-nas", "talkie"),
        "its attention or its caches take one row",
    ),
}
"""mlx-lm's name of an architecture → what goes wrong in a batch in mlx-lm 0.32.2."""


def check_batchable(model: SVFModel) -> None:
    """Raise ModelError for an architecture that cannot be decoded in a batch."""
    name = architecture(model.network)
    caches = make_prompt_cache(model.network)
    why = UNBATCHED.get(name)
    if why is None and not all(hasattr(cache, "merge") for cache in caches):
        why = "a cache of its cannot be merged"
    if why:
        raise ModelError(f"{model.name}: mlx-lm cannot decode {name} in a batch: {why}")


def batch_caches(model: SVFModel) -> list:
    """Fresh caches of a batch that has one row so far.

    Raises: ModelError where mlx-lm cannot batch this architecture.
    """
    check_batchable(model)
    return [
        RowCache() if type(c) in (KVCache, BatchKVCache) else type(c).merge([c])
        for c in make_prompt_cache(model.network)
    ]
