"""Keys and values of a batch of rows, in the form that both sampling and gradients want.

mlx-lm's own batch cache keeps spare room and shifts padding to the left: its copies and
scatters cost more than the attention itself in a gradient pass. This one appends, and masks
padding where it is. It stands in for `KVCache` alone; other caches (rotating, recurrent) stay
mlx-lm's.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from jaxtyping import Bool, Float
from mlx_lm.models.cache import BatchKVCache, KVCache, make_prompt_cache

from mlx_t2.models import SVFModel

_ROOM = 32
"""Columns added at a time while decoding."""


class RowCache:
    """One layer's keys and values; has the methods that mlx-lm's models call."""

    def __init__(self):
        self.keys: mx.array | None = None
        self.values: mx.array | None = None
        self.offset = mx.array([0])
        """The next position of each row."""
        self._is_real: mx.array | None = None
        """(B, ≤ T): which columns hold a token of the row, not padding; later ones all do.
        None where all do in every row: some attentions take no mask of several rows.
        """
        self._used = 0
        self._padding: list[int] = []
        self._front = [0]
        """Columns before the first token of each row that `merge` has put there."""

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
                self.keys, self.values = _widen(self.keys), _widen(self.values)
            self.keys[..., start : self._used, :] = keys
            self.values[..., start : self._used, :] = values
        return self.keys_and_values()

    def keys_and_values(self) -> tuple[mx.array, mx.array]:
        """All so far, for layers that read what another has written."""
        assert self.keys is not None
        assert self.values is not None
        return self.keys[..., : self._used, :], self.values[..., : self._used, :]

    @property
    def used(self) -> int:
        """Columns so far, padding among them."""
        return self._used

    def hold(self, keys: mx.array, values: mx.array, used: int) -> None:
        """Hold these in place of what is held: what `update_and_fetch` would leave behind."""
        self.offset = self.offset + (used - self._used)
        self.keys, self.values, self._used = keys, values, used

    def make_mask(
        self, N: int, return_array: bool = False, window_size: int | None = None
    ) -> Bool[mx.array, "B 1 N T"] | None:
        """Which columns each of the next N tokens may see; None where one token sees all."""
        if N == 1 and self._is_real is None and window_size is None and not return_array:
            return None
        columns = mx.arange(self._used + N)
        tokens = mx.arange(self._used, self._used + N)[:, None]
        real = self._columns(self._used + N)
        seen = (tokens >= columns) & real[:, None, :]
        if window_size is not None:  # counted in positions: padding takes none
            position = mx.cumsum(real.astype(mx.int32), axis=1)
            seen = seen & (position[:, -N:, None] < position[:, None, :] + window_size)
        return seen[:, None]

    def _columns(self, count: int) -> Bool[mx.array, "B T"]:
        """`_is_real` of the first `count` columns; of one row where all rows are alike."""
        if self._is_real is None:
            return mx.ones((1, count), dtype=mx.bool_)
        rows, known = self._is_real.shape
        late = mx.ones((rows, count - known), dtype=mx.bool_)
        return mx.concatenate([self._is_real, late], axis=1)

    def prepare(self, *, lengths: Sequence[int], right_padding: Sequence[int]) -> None:
        """The next columns of each row end in this much padding."""
        self._padding = list(right_padding)

    def finalize(self) -> None:
        """The padding announced has been read: hide it, and take it off the positions."""
        if any(self._padding):
            padding = mx.array(self._padding)
            self._is_real = self._columns(self._used) & (
                mx.arange(self._used) < self._used - padding[:, None]
            )
            self.offset = self.offset - padding
        self._padding = []

    # Rows come, go and are copied

    def filter(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order, and no column that is in front of all of them."""
        self._front = [self._front[row] for row in rows]
        cut, at = min(self._front), mx.array(list(rows))
        self._front = [front - cut for front in self._front]
        self._used -= cut
        self.offset = self.offset[at]
        if self._is_real is not None:
            self._is_real = self._is_real[at][:, cut:]
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self.keys[..., cut:, :][at], self.values[..., cut:, :][at]

    def repeat(self, copies: int) -> None:
        """Every row, `copies` times in turn. Unlike that of `filter`, its gradient is a sum,
        not a scatter.
        """
        self._front = [front for front in self._front for _ in range(copies)]
        self.offset = mx.repeat(self.offset, copies)
        if self._is_real is not None:
            self._is_real = mx.repeat(self._is_real, copies, axis=0)
        if self.keys is not None and self.values is not None:
            self.keys = mx.repeat(self.keys[..., : self._used, :], copies, axis=0)
            self.values = mx.repeat(self.values[..., : self._used, :], copies, axis=0)

    @classmethod
    def of(cls, cache: KVCache) -> "RowCache":
        """A batch of the one row that mlx-lm's cache holds, which stays as it is."""
        one = cls()
        if cache.keys is not None and cache.values is not None and cache.offset:
            one.keys = cache.keys[..., : cache.offset, :]
            one.values = cache.values[..., : cache.offset, :]
            one.offset, one._used = mx.array([cache.offset]), cache.offset
        return one

    def extract(self, row: int, count: int) -> KVCache:
        """The first `count` tokens of a row that has no padding between its tokens, copied into
        mlx-lm's cache of one row.
        """
        cache, start = KVCache(), self._front[row]
        keys, values = (
            mx.contiguous(array[row : row + 1, :, start : start + count])
            for array in self.keys_and_values()
        )
        cache.keys, cache.values, cache.offset = keys, values, count
        return cache

    @classmethod
    def merge(cls, caches: Sequence["RowCache"]) -> "RowCache":
        """One batch of all their rows.

        Rows write into the same column from then on, so all have to end in the same one:
        padding goes in front of what is shorter. What is padding inside a row (·, where the
        rows of a batch had tails of unlike length) stays where it is. Positions are counted
        by `offset`, which no padding changes.

            p p a a a a              p p a a a a
            p p b b · ·              p p b b · ·
                             →       · · · c c c        `_front` 3
            c c c                    · · · d d ·        `_front` 3
            d d ·
        """
        merged = cls()
        merged._used = max(cache._used for cache in caches)
        merged.offset = mx.concatenate([cache.offset for cache in caches])
        gaps = [merged._used - cache._used for cache in caches]
        merged._front = [
            front + gap
            for cache, gap in zip(caches, gaps, strict=True)
            for front in cache._front
        ]
        if any(gaps) or any(cache._is_real is not None for cache in caches):
            merged._is_real = mx.concatenate([c._in_front(merged._used) for c in caches])
        if some := [cache for cache in caches if cache._used]:
            pairs = [cache._all_of(some[0]) for cache in caches]
            merged.keys, merged.values = (
                mx.concatenate(
                    [
                        mx.pad(array, [(0, 0), (0, 0), (gap, 0), (0, 0)]) if gap else array
                        for array, gap in zip(arrays, gaps, strict=True)
                    ]
                )
                for arrays in zip(*pairs, strict=True)
            )
        return merged

    def _all_of(self, like: "RowCache") -> tuple[mx.array, mx.array]:
        """Keys and values; of no columns, but shaped as those of `like`, where it is empty."""
        if self._used:
            return self.keys_and_values()
        rows = self.offset.shape[0]
        keys, values = (
            mx.zeros((rows, a.shape[1], 0, a.shape[3]), a.dtype) for a in like.keys_and_values()
        )
        return keys, values

    def _in_front(self, count: int) -> Bool[mx.array, "B T"]:
        """Which of `count` columns are real, padding in front."""
        real = mx.broadcast_to(self._columns(self._used), (self.offset.shape[0], self._used))
        return mx.pad(real, [(0, 0), (count - self._used, 0)])

    @property
    def state(self) -> list[mx.array]:
        """What a prefill has to wait for."""
        arrays = [self.keys, self.values, self.offset, self._is_real]
        return [array for array in arrays if array is not None]


def _widen(array: mx.array) -> mx.array:
    return mx.pad(array, [(0, 0), (0, 0), (0, _ROOM), (0, 0)])


def batch_caches(model: SVFModel) -> list:
    """Fresh caches of a batch that has one row so far."""
    return [
        RowCache() if type(c) in (KVCache, BatchKVCache) else type(c).merge([c])
        for c in make_prompt_cache(model.network)
    ]


def as_batch(caches: Sequence[Any]) -> list:
    """A batch of the one row that mlx-lm's own caches hold; plain ones stay as they are."""
    return [RowCache.of(c) if type(c) is KVCache else type(c).merge([c]) for c in caches]


def merge_caches(batches: Sequence[list]) -> list:
    """Caches of all rows of these batches in turn, layer by layer; the batches are used up."""
    return [_merge_layer(layer) for layer in zip(*batches, strict=True)]


def _merge_layer(layer: Sequence[Any]) -> Any:
    first, *others = layer
    if others and isinstance(first, RowCache):
        return RowCache.merge(layer)
    for other in others:
        first.extend(other)
    return first
