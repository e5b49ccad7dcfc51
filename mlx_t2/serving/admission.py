"""How much memory the keys and values of an answer take. Knows caches by their sizes alone."""

from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from mlx_t2.models import SVFModel, memory_bytes
from mlx_t2.svf import BASE

_SHARE = 0.5
"""A share of the memory that weights and prompt cache leave: joining a batch copies it."""
_LEAST = 64 << 20


@dataclass(frozen=True)
class CacheSize:
    """Bytes of the caches of one row."""

    fixed: int
    """Whatever its length."""
    growing: tuple[tuple[int, int | None], ...]
    """(bytes per token, the most tokens it holds) of each cache that grows."""

    def bytes_at(self, tokens: int) -> int:
        """What a row of that many tokens takes."""
        held = (size * min(tokens, most or tokens) for size, most in self.growing)
        return self.fixed + sum(held)


def measure_caches(model: SVFModel) -> CacheSize:
    """The sizes of the model's caches, from what two tokens leave in them."""
    caches = model.new_cache(BASE)
    model.extend(mx.array([[1, 1]]), caches)
    mx.eval([cache.state for cache in caches])
    fixed, growing = 0, []
    pending: list[Any] = list(caches)
    while pending:
        cache = pending.pop()
        if inner := getattr(cache, "caches", None):  # a list of several for one layer
            pending += inner
            continue
        keys, values = (getattr(cache, name, None) for name in ("keys", "values"))
        if isinstance(keys, mx.array) and isinstance(values, mx.array) and keys.ndim == 4:
            size = keys.nbytes // keys.shape[2] + values.nbytes // values.shape[2]
            growing.append((size, getattr(cache, "max_size", None)))
        else:
            fixed += cache.nbytes
    return CacheSize(fixed, tuple(growing))


def find_budget(cache_bytes: int) -> int:
    """What keys and values may take [bytes], beside what is in memory already and the prompt
    cache.
    """
    left = memory_bytes() - mx.get_active_memory() - cache_bytes
    return max(_LEAST, int(_SHARE * left))
