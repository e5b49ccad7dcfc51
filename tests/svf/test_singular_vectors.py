"""Singular vectors as they are stored."""

import mlx.core as mx
import numpy as np
import pytest
from any_layer import (
    ROUNDING,
    properties,
    seeds,
    sides,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlx_t2.svf.singular_vectors import SingularVectors


@settings(properties, max_examples=15)
@given(sides, st.integers(1, 140), seeds)
@example(70, 128, 0)
@example(70, 96, 0)
@example(3, 32, 0)
@pytest.mark.parametrize("stack", [(), (1,), (3,)])
@pytest.mark.parametrize("bits", [32, 16, 8, 4])
def test_stored_vectors_give_the_products_of_the_dense_ones(bits, stack, n, rank, seed):
    rng = np.random.default_rng(seed)
    q = (rng.normal(size=(*stack, n, rank)) / n**0.5).astype(np.float32)
    stored = SingularVectors((mx.array(q),)).to_bits(bits)
    assert (stored.rank, stored.stack) == (rank, stack)
    packed = bits < 16 and rank % 32 == 0
    # 16 bits round an entry by u of itself; 8 bits by no more than one of 255 steps between a
    # group's extremes, 4 bits by one of 15. A product moves by no more than |h| times the
    # rounding's norm.
    rounding = np.linalg.norm(q, axis=(-2, -1)).max() * ROUNDING[mx.bfloat16]
    if packed:
        rounding = (n * rank) ** 0.5 * 2 * np.abs(q).max() / (2**bits - 1)
    elif bits == 32:
        rounding = 0.0
    assert np.linalg.norm(np.array(stored.dense()) - q, axis=(-2, -1)).max() <= rounding + 1e-6
    for product, width, matrix in (
        (stored.into, n, q),
        (stored.back, rank, q.swapaxes(-1, -2)),
    ):
        h = rng.normal(size=(*stack, 2, width)).astype(np.float32)
        cases = [(product(mx.array(h)), h @ matrix, h)]
        if stack:
            h = rng.normal(size=(2, 5, 1, width)).astype(np.float32)
            at = rng.integers(0, stack[0], size=(2, 5))
            cases.append((product(mx.array(h), mx.array(at)), h @ matrix[at], h))
        for got, expected, h in cases:
            assert got.shape == expected.shape
            slack = (rounding + 1e-5) * np.linalg.norm(h, axis=-1).max()
            assert np.linalg.norm(np.array(got) - expected, axis=-1).max() <= slack


@properties
@given(st.sampled_from([(), (2,)]), sides, st.integers(1, 140))
@example((), 70, 128)
@example((2,), 7, 32)
def test_fewer_bits_take_fewer_bytes_and_storing_again_changes_nothing(stack, n, rank):
    q = SingularVectors((mx.ones((*stack, n, rank)),))
    sizes = {bits: q.to_bits(bits).nbytes for bits in (32, 16, 8, 4)}
    assert sizes[32] == q.nbytes == 2 * sizes[16]
    # scale and bias of a group of 32 are 8 bytes more
    assert sizes[8] <= (1.25 / 4 if rank % 32 == 0 else 1 / 2) * sizes[32]
    assert sizes[4] <= (1.5 / 8 if rank % 32 == 0 else 1 / 2) * sizes[32]
    for bits in sizes:
        once = q.to_bits(bits)
        twice = once.to_bits(bits)
        assert all(
            mx.array_equal(a, b).item() and a.dtype == b.dtype
            for a, b in zip(once.parts, twice.parts, strict=True)
        )
