"""What was read of prompts, for later ones that begin alike; least recently used goes first.

Knows tokens, caches and keys; does not know what a key stands for but this: what one set of
scales has read is found under its key alone, since keys and values belong to the scales that
made them.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.models.cache import KVCache

from mlx_t2.models import SVFModel
from mlx_t2.svf import Scales

from .kept_caches import is_plain
from .row_cache import RowCache
from .rows import Begun


@dataclass(eq=False)
class _Held:
    """Caches of one row, nobody's but ours."""

    key: str
    tokens: np.ndarray
    """All that they hold."""
    caches: list[Any]
    is_plain: bool
    nbytes: int


class PromptCache:
    """Prompts that were read, as far as their keys and values fit into `most_bytes`.

        begun = cache.take(key, tokens, scales)     the longest beginning that is known, copied
        ...                                         read on, all but the last token
        cache.put(key, tokens[:-1], caches)         copied, for those that follow

    Of plain caches any beginning serves. Recurrent and rotating ones cannot forget what is
    behind it, and serve only as a whole.
    """

    def __init__(self, model: SVFModel, most_bytes: int):
        self._model = model
        self._most = most_bytes
        self._held: list[_Held] = []
        """Least recently used first."""

    @property
    def nbytes(self) -> int:
        """The size of all that is held."""
        return sum(one.nbytes for one in self._held)

    def take(self, key: str, tokens: Sequence[int], scales: Scales) -> Begun:
        """What is known of the beginning of these tokens, the last one not among it; fresh
        caches where nothing is. They belong to the scales, and whoever reads on has them alone.
        """
        best, count = self._find(key, tokens)
        if best is None:
            return Begun(self._model.new_cache(scales), 0)
        self._held.remove(best)
        self._held.append(best)
        return Begun(self._model.own(_copy(best, count), scales), count)

    def count(self, key: str, tokens: Sequence[int]) -> int:
        """How many tokens `take` would give."""
        return self._find(key, tokens)[1]

    def _find(self, key: str, tokens: Sequence[int]) -> tuple[_Held | None, int]:
        wanted = np.array(tokens[:-1], dtype=np.int64)
        best, count = None, 0
        for one in self._held:
            if one.key == key and (shared := _usable(one, wanted)) > count:
                best, count = one, shared
        return best, count

    def put(self, key: str, tokens: Sequence[int], caches: Sequence[Any]) -> None:
        """Keep a copy of what these caches hold: the tokens, and for plain ones perhaps more.
        What is the beginning of it is let go, where any beginning of it serves.
        """
        if not len(tokens) or not self._most:
            return
        ids, plain = np.array(tokens, dtype=np.int64), is_plain(caches)
        for one in self._held:
            if one.key == key and _usable(one, ids) == len(ids) <= len(one.tokens):
                self._held.remove(one)
                self._held.append(one)
                return
        own = (
            [RowCache.of(cache).extract(0, len(tokens)) for cache in caches]
            if plain
            else deepcopy(list(caches))
        )
        mx.eval(_arrays(own))  # or the graph holds what they were copied from
        size = sum(array.nbytes for array in _arrays(own))
        if size > self._most:
            return
        if plain:
            self._held = [
                one
                for one in self._held
                if one.key != key or _usable(one, ids) < len(one.tokens)
            ]
        self._held.append(_Held(key, ids, own, plain, size))
        self._shrink()

    def clear(self) -> None:
        """Let everything go."""
        self._held = []
        mx.clear_cache()

    def _shrink(self) -> None:
        if (total := self.nbytes) <= self._most:
            return
        while total > self._most:
            total -= self._held.pop(0).nbytes
        mx.clear_cache()  # or it stays with the allocator


def _usable(one: _Held, wanted: np.ndarray) -> int:
    """How many of the wanted tokens its caches give."""
    least = min(len(one.tokens), len(wanted))
    differs = np.flatnonzero(one.tokens[:least] != wanted[:least])
    shared = int(differs[0]) if len(differs) else least
    return shared if one.is_plain or shared == len(one.tokens) else 0


def _copy(one: _Held, count: int) -> list[Any]:
    if not one.is_plain:
        return deepcopy(one.caches)
    return [_begin(cache, count) for cache in one.caches]


def _begin(cache: KVCache, count: int) -> KVCache:
    """The first tokens of a cache. Its arrays are full, so that whoever reads on makes new ones
    and does not write into those that are held.
    """
    begun = KVCache()
    assert cache.keys is not None
    assert cache.values is not None
    begun.keys, begun.values = cache.keys[..., :count, :], cache.values[..., :count, :]
    begun.offset = count
    return begun


def _arrays(caches: Sequence[Any]) -> list[mx.array]:
    found: Any = tree_flatten([cache.state for cache in caches])
    return [array for _, array in found if isinstance(array, mx.array)]
