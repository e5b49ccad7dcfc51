"""Many weights → their bases, several at a time, each written to the cache as it is finished.

The default device makes weights dense while CPU streams work on the ones before: a stream
always has its next weight waiting, and no more than that is dense at once. Knows layers by
their paths and hashes; knows no model.
"""

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from mlx_t2 import blas

from .base import BaseLayer, check_finite, dense_weight, weight_shape
from .cache import BasisCache
from .decompose import Basis, Precision, decompose_weight, stacked

STREAMS = max(2, min(4, os.cpu_count() or 2))
"""Weights in work at once, each on a CPU stream of its own with one BLAS thread."""


def decompose_layers(
    layers: Mapping[str, BaseLayer], keys: Mapping[str, str], cache: BasisCache
) -> Iterator[tuple[str, Basis]]:
    """(path, basis) of each layer, in order, computed as the cache says and written there.

    keys: of the cache, by path.
    Raises: ModelError for a weight that is not finite; ConfigError for a cache that cannot be
        written.
    """
    cache.sweep()
    streams = [mx.new_stream(mx.Device(mx.cpu)) for _ in range(STREAMS)]
    waiting: deque[_Matrix] = deque()
    done: list[Basis] = []
    with blas.threads(1):
        for number, (path, at) in enumerate(_matrices(layers)):
            weight = dense_weight(layers[path], at)
            check_finite(path, weight)
            basis = decompose_weight(
                weight, streams[number % STREAMS], cache.rank, cache.precision
            )
            mx.async_eval(basis.q.parts, basis.s)
            waiting.append(_Matrix(path, at, basis))
            del weight, basis
            if len(waiting) > STREAMS:
                yield from _finish(waiting, done, keys, cache)
        while waiting:
            yield from _finish(waiting, done, keys, cache)


@dataclass(frozen=True)
class _Matrix:
    """One weight in work."""

    path: str
    at: int | None
    """Its index in a stack."""
    basis: Basis


def _matrices(layers: Mapping[str, BaseLayer]) -> Iterator[tuple[str, int | None]]:
    """(path, index in its stack or None) of every matrix."""
    for path, layer in layers.items():
        stack = weight_shape(layer)[:-2]
        yield from ((path, i) for i in range(stack[0])) if stack else [(path, None)]


def _finish(
    waiting: deque[_Matrix],
    done: list[Basis],
    keys: Mapping[str, str],
    cache: BasisCache,
) -> Iterator[tuple[str, Basis]]:
    """Wait for the first matrix; write and yield its layer where it was the last one of it."""
    first = waiting.popleft()
    mx.eval(first.basis.q.parts, first.basis.s)
    done.append(first.basis)
    if not waiting or waiting[0].path != first.path:
        whole = done[0] if first.at is None else stacked(done)
        done.clear()
        kept = Basis(whole.side, whole.q.stored(cache.bits), whole.s)
        cache.write(keys[first.path], kept)
        yield first.path, kept


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
