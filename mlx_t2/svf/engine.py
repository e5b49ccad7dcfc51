"""Many weights → their bases, several at a time, each written to the cache as it is finished.

The default device makes weights dense while CPU streams work on the ones before: a stream
always has its next weight waiting, and no more than that is dense at once. Knows layers by
their paths and hashes; knows no model.
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

from .base import BaseLayer, check_finite, dense_weight, weight_shape
from .cache import BasisCache
from .decompose import Basis, Precision, decompose_weight, stacked

STREAMS = max(2, min(4, os.cpu_count() or 2))
"""Weights in work at once, each on a CPU stream of its own with one BLAS thread."""


@dataclass(frozen=True)
class Done:
    """One layer's basis."""

    path: str
    basis: Basis
    cached: bool
    """It was on disk already."""


def decompose_layers(
    layers: Mapping[str, BaseLayer], key: Callable[[str], str], cache: BasisCache
) -> Iterator[Done]:
    """The basis of each layer: read, or computed as the cache says and written there.

    Layers are looked at one after another, so weights that are loaded lazily are read in turn.
    What is on disk comes at once, the others in order.

    key: path → the layer's key in the cache.
    Raises: ModelError for a weight that is not finite; ConfigError for a cache that cannot be
        written.
    """
    cache.sweep()
    streams = cycle(mx.new_stream(mx.Device(mx.cpu)) for _ in range(STREAMS))
    in_work = _InWork(cache)
    with blas.threads(1):
        for path, layer in layers.items():
            basis = cache.read(name := key(path))
            if basis is not None:
                yield Done(path, basis, True)
                continue
            stack = weight_shape(layer)[:-2]
            for at in range(stack[0]) if stack else (None,):
                weight = dense_weight(layer, at)
                check_finite(path, weight)
                found = decompose_weight(weight, next(streams), cache.rank, cache.precision)
                del weight
                in_work.start(path, name, at, found)
                while len(in_work.waiting) > STREAMS:
                    yield from in_work.finish()
        while in_work.waiting:
            yield from in_work.finish()


class _InWork:
    """Matrices that streams are working on, first come first finished."""

    def __init__(self, cache: BasisCache):
        self.waiting: deque[tuple[str, str, int | None, Basis]] = deque()
        self._cache = cache
        self._done: list[Basis] = []

    def start(self, path: str, key: str, at: int | None, basis: Basis) -> None:
        """Let the basis be computed; `at` is its index in a stack."""
        mx.async_eval(basis.q.parts, basis.s)
        self.waiting.append((path, key, at, basis))

    def finish(self) -> Iterator[Done]:
        """Wait for the first matrix; write and yield its layer where it is the last of it."""
        path, key, at, basis = self.waiting.popleft()
        mx.eval(basis.q.parts, basis.s)
        self._done.append(basis)
        if self.waiting and self.waiting[0][0] == path:
            return
        whole = basis if at is None else stacked(self._done)
        self._done.clear()
        kept = Basis(whole.side, whole.q.stored(self._cache.bits), whole.s)
        self._cache.write(key, kept)
        yield Done(path, kept, False)


def work(layer: BaseLayer) -> float:
    """Roughly how many floating-point operations the basis of a layer takes."""
    *stack, out, inner = weight_shape(layer)
    n, m = min(out, inner), max(out, inner)
    return (stack[0] if stack else 1) * (2.0 * n * n * m + 9.0 * n**3)


def operations_a_second(precision: Precision = "float64") -> float:
    """How many operations of `work` this machine does, all streams together; one weight is
    tried.
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
    return STREAMS * work(probe) / min(seconds)
