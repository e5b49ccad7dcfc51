"""The bases of a network's targeted weights, computed or read from the cache, with a report on
each. Knows modules and the cache folder; knows no scales and no tokens.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mlx_t2.folders import cache_dir
from mlx_t2.svf import BaseLayer, Basis, BasisCache, Recipe, count_operations, decompose_each


@dataclass(frozen=True)
class Decomposed:
    """One weight is decomposed."""

    path: str
    index: int
    """1 for the first."""
    total: int
    cached: bool
    """The basis was on disk already."""
    seconds: float
    """Since the start of the whole decomposition."""
    seconds_left: float
    """For the weights that follow, at the pace so far, as if none of them were on disk."""
    bytes: int
    """Size of the basis."""


def decompose_chosen(
    chosen: Mapping[str, BaseLayer], recipe: Recipe, key: Callable[[str], str]
) -> Iterator[tuple[Decomposed, Basis]]:
    """The basis of every chosen layer with its report, in the order in which they are finished.

    key: path → hash of its weight, the key in the cache.
    """
    start, done, computed = time.perf_counter(), 0.0, 0.0
    works = {path: count_operations(layer) for path, layer in chosen.items()}
    cache = _cache_for(recipe)
    for index, one in enumerate(decompose_each(chosen, key, cache), 1):
        seconds = time.perf_counter() - start
        done += works[one.path]
        computed += 0.0 if one.cached else works[one.path]
        left = seconds * (sum(works.values()) - done) / computed if computed else 0.0
        size = one.basis.nbytes
        report = Decomposed(one.path, index, len(chosen), one.cached, seconds, left, size)
        yield report, one.basis


def read_basis(path: str, layer: BaseLayer, recipe: Recipe, key: str) -> Basis:
    """One layer's basis in float32: on disk until it is used; computed where it is missing."""
    cache = _cache_for(recipe)
    if (basis := cache.read(key)) is not None:
        return basis
    (one,) = decompose_each({path: layer}, lambda _: key, cache)
    return one.basis


def _cache_for(recipe: Recipe) -> BasisCache:
    return BasisCache(cache_dir() / "bases", recipe.rank, recipe.precision)
