import mlx.core as mx
import numpy as np
import pytest

from mlx_t2.errors import ModelError
from mlx_t2.svf import decompose_weight
from mlx_t2.svf.base_layer import check_finite

SHAPES = [(7, 7), (5, 12), (12, 5), (1, 9), (9, 1), (64, 96)]


def recomposed(w: np.ndarray, z: np.ndarray) -> np.ndarray:
    """U diag(s ⊙ z) Vᵀ by NumPy's float64 SVD: the definition."""
    u, s, vt = np.linalg.svd(w.astype(np.float64), full_matrices=False)
    return (u * (s * z)) @ vt


def scaled(w: np.ndarray, basis, z: np.ndarray) -> np.ndarray:
    q = np.array(basis.q.dense()).astype(np.float64)
    change = (q * (z - 1)) @ q.T
    return w + (change @ w if basis.side == "left" else w @ change)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0, 1])
def test_scaling_in_the_basis_is_scaling_the_singular_values(shape, seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=shape).astype(np.float32)
    z = rng.normal(1, 0.3, size=min(shape))
    expected = recomposed(w, z)
    got = scaled(w, decompose_weight(mx.array(w)), z)
    assert np.linalg.norm(got - expected) <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
def test_an_ill_conditioned_weight_keeps_its_small_singular_vectors(condition):
    rng = np.random.default_rng(0)
    u, _ = np.linalg.qr(rng.normal(size=(32, 32)))
    v, _ = np.linalg.qr(rng.normal(size=(48, 32)))
    w = ((u * np.geomspace(1, 1 / condition, 32)) @ v.T).astype(np.float32)
    z = rng.normal(1, 0.3, size=32)
    expected = recomposed(w, z)
    got = scaled(w, decompose_weight(mx.array(w)), z)
    assert np.linalg.norm(got - expected) <= 1e-5 * np.linalg.norm(expected)


def test_singular_values_descend_and_are_numpys():
    w = np.random.default_rng(3).normal(size=(20, 30)).astype(np.float32)
    s = np.array(decompose_weight(mx.array(w)).s)
    assert np.all(np.diff(s) <= 0)
    assert np.allclose(s, np.linalg.svd(w, compute_uv=False), rtol=1e-5)


def test_each_columns_largest_entry_is_positive():
    q = np.array(decompose_weight(mx.random.normal((16, 24), key=mx.random.key(1))).q.dense())
    assert np.all(q[np.abs(q).argmax(axis=0), np.arange(16)] > 0)


def test_rank_keeps_the_largest_singular_values():
    w = mx.random.normal((16, 24), key=mx.random.key(1))
    full, part = decompose_weight(w), decompose_weight(w, rank=5)
    assert part.q.dense().shape == (16, 5)
    assert mx.array_equal(part.q.dense(), full.q.dense()[:, :5]).item()
    assert mx.array_equal(part.s, full.s[:5]).item()


def test_a_weight_with_nan_is_named():
    w = mx.random.normal((4, 6), key=mx.random.key(0))
    w[1, 2] = float("nan")
    with pytest.raises(ModelError, match=r"up_proj: the weight has NaN"):
        check_finite("up_proj", w)
