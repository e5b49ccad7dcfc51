"""Many weights → their bases, several at a time, each written to the cache as it is finished.

The default device makes weights dense while CPU streams decompose the ones before: a stream
always has its next weight waiting, and no more than that is dense at once. Knows layers by
their paths and hashes; does not know models.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle

import mlx.core as mx
import mlx.nn as nn

from mlx_t2 import blas

from .base_layer import BaseLayer, check_finite, dense_weight, weight_shape
from .basis_cache import BasisCache
from .decompose import Basis, Precision, decompose_weight, stack_bases

STREAMS = max(2, min(4, os.cpu_count() or 2))
"""CPU streams, each with one weight at a time and one BLAS thread."""


@dataclass(frozen=True)
class LayerBasis:
    """One layer's basis."""

    path: str
    basis: Basis
    cached: bool
    """It was on disk already."""


def decompose_each(
    layers: Mapping[str, BaseLayer], key: Callable[[str], str], cache: BasisCache
) -> Iterator[LayerBasis]:
    """The basis of each layer: read from the cache, or computed as it says and written there.

    Layers are visited one after another, so weights that are loaded lazily are read in turn.
    A basis that is on disk is yielded at once, the others in order. None is in memory before it
    is used.

    key: path → the layer's key in the cache.
    Raises: ModelError for a weight with NaN or infinite entries; FileError for a cache that
        cannot be written.
    """
    cache.sweep()
    streams = cycle(mx.new_stream(mx.Device(mx.cpu)) for _ in range(STREAMS))
    queue = _Queue(cache)
    with blas.threads(1):
        for path, layer in layers.items():
            basis = cache.read(name := key(path))
            if basis is not None:
                yield LayerBasis(path, basis, True)
                continue
            stack = weight_shape(layer)[:-2]
            for at in range(stack[0]) if stack else (None,):
                weight = dense_weight(layer, at)
                check_finite(path, weight)
                lazy = decompose_weight(weight, next(streams), cache.rank, cache.precision)
                del weight
                queue.start(path, name, at, lazy)
                while len(queue.waiting) > STREAMS:
                    yield from queue.finish()
        while queue.waiting:
            yield from queue.finish()


class _Queue:
    """Matrices that the streams are decomposing; finished in the order they were started."""

    def __init__(self, cache: BasisCache):
        self.waiting: deque[tuple[str, str, int | None, Basis]] = deque()
        self._cache = cache
        self._finished: list[Basis] = []

    def start(self, path: str, key: str, at: int | None, basis: Basis) -> None:
        """Begin to compute a lazy basis; `at` is its index in a stack."""
        mx.async_eval(basis.q.parts, basis.s)
        self.waiting.append((path, key, at, basis))

    def finish(self) -> Iterator[LayerBasis]:
        """Wait for the first matrix; if it is the last of its layer, write and yield that."""
        path, key, at, basis = self.waiting.popleft()
        mx.eval(basis.q.parts, basis.s)
        self._finished.append(basis)
        if self.waiting and self.waiting[0][0] == path:
            return
        whole = basis if at is None else stack_bases(self._finished)
        self._finished.clear()
        self._cache.write(key, whole)
        # read again when it is used: in memory it would be float32
        yield LayerBasis(path, self._cache.read(key) or whole, False)


def count_operations(layer: BaseLayer) -> float:
    """Roughly how many floating-point operations the basis of a layer takes."""
    *stack, out, inner = weight_shape(layer)
    n, m = min(out, inner), max(out, inner)
    return (stack[0] if stack else 1) * (2.0 * n * n * m + 9.0 * n**3)


def operations_per_second(precision: Precision = "float64") -> float:
    """How many operations of `count_operations` this machine does, all streams together;
    measured on one weight.
    """
    probe = nn.Linear(1024, 512, bias=False)
    weight = probe.weight
    with blas.threads(1):
        seconds = []
        for _ in range(2):  # the first one wakes the libraries
            start = time.perf_counter()
            basis = decompose_weight(weight, mx.cpu, None, precision)
            mx.eval(basis.q.parts, basis.s)
            seconds.append(time.perf_counter() - start)
    return STREAMS * count_operations(probe) / min(seconds)
