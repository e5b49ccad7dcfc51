"""Decomposition: time, memory and accuracy beside mx.linalg.svd and NumPy."""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import mlx.core as mx
import numpy as np

from mlx_t2.models import load
from mlx_t2.svf import (
    BasisCache,
    Precision,
    Targets,
    decompose_each,
    decompose_weight,
    dense_weight,
    weight_key,
)

from .measure import Row, interleaved, peak_mb

_BIG = (2048, 8192)


def measure(runs: int = 3) -> Iterator[Row]:
    """Every row, one after another."""
    yield _all_weights(runs)
    yield from _one_big(runs)
    yield from _accuracy()


def _all_weights(runs: int) -> Row:
    """From weights in memory to bases on disk, against the bare factorisations."""
    layers = Targets("mlp").select(load().network)
    keys = {path: weight_key(layer) for path, layer in layers.items()}
    weights = [dense_weight(layer) for layer in layers.values()]
    mx.eval(weights)

    def ours() -> None:
        with TemporaryDirectory() as folder:
            for _ in decompose_each(layers, keys.__getitem__, BasisCache(Path(folder))):
                pass

    def other() -> None:
        for weight in weights:
            mx.eval(mx.linalg.svd(weight, stream=mx.cpu))

    name = f"all {len(layers)} MLP weights of the default model"
    return Row(name, *interleaved(ours, other, runs), "mx.linalg.svd", target="9")


def _one_big(runs: int) -> Iterator[Row]:
    dense = np.random.default_rng(0).standard_normal(_BIG).astype(np.float32)
    weight = mx.array(dense)
    mx.eval(weight)

    def ours() -> None:
        basis = decompose_weight(weight)
        mx.eval(basis.q.parts, basis.s)

    sides = {
        "mx.linalg.svd": lambda: mx.eval(mx.linalg.svd(weight, stream=mx.cpu)),
        "NumPy's thin SVD": lambda: np.linalg.svd(dense, full_matrices=False),
    }
    name = f"one {_BIG[0]} × {_BIG[1]} weight"
    for against, other in sides.items():
        target = "5" if against.startswith("mx") else ""
        yield Row(name, *interleaved(ours, other, min(runs, 3)), against, target=target)
    if sys.platform != "linux":
        return  # the peak of a process's memory is read from /proc
    prepare = (
        "import mlx_t2.svf, mlx.core as mx, numpy as np\n"
        f"a = np.random.default_rng(0).standard_normal({_BIG}).astype(np.float32)\n"
        "w = mx.array(a); mx.eval(w)"
    )
    mine = peak_mb(prepare, "b = mlx_t2.svf.decompose_weight(w); mx.eval(b.q.parts, b.s)")
    theirs = peak_mb(prepare, "mx.eval(mx.linalg.svd(w, stream=mx.cpu))")
    yield Row(f"{name}, peak memory", mine, theirs, "mx.linalg.svd", "MB")
    theirs = peak_mb(prepare, "np.linalg.svd(a, full_matrices=False)")
    yield Row(f"{name}, peak memory", mine, theirs, "NumPy's thin SVD", "MB")


def _accuracy() -> Iterator[Row]:
    """‖W' − float64 W'‖ over ‖W' − W‖, on three weights of the default model, random z."""
    layers = Targets(r"layers\.7\.mlp").select(load().network)
    weights = [dense_weight(layer) for layer in layers.values()]
    ways: list[tuple[str, int, Precision]] = [
        ("float64", 32, "float64"),
        ("q in 16 bits", 16, "float64"),
        ("q in 8 bits", 8, "float64"),
        ("float32 eigenproblem", 32, "float32"),
    ]
    for name, bits, precision in ways:
        worst = max(_error(weight, bits, precision) for weight in weights)
        target = "≤ 1e-5" if name == "float64" else ""
        against = "a float64 SVD"
        yield Row(f"error of W' − W: {name}", worst, None, against, "relative error", target)


def _error(weight: mx.array, bits: int, precision: Precision) -> float:
    dense = np.array(weight).astype(np.float64)
    z = np.random.default_rng(0).normal(1, 0.1, min(weight.shape)).astype(np.float32)
    u, s, vt = np.linalg.svd(dense, full_matrices=False)
    expected = (u * (s * (z.astype(np.float64) - 1))) @ vt
    basis = decompose_weight(weight, precision=precision)
    q = np.array(basis.q.to_bits(bits).dense()).astype(np.float64)
    change = (q * (z.astype(np.float64) - 1)) @ q.T
    got = change @ dense if basis.side == "left" else dense @ change
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))
