"""Weights with nothing to hold on to, and weights that are not finite."""

import re

import mlx.core as mx
import numpy as np
import pytest
from any_layer import (
    KINDS,
    assert_is_weight,
    layer_of,
    random_weight,
    random_z,
    wearing,
    worn_as_defined,
)
from helpers import tiny_network, tiny_tokenizer

from mlx_t2.errors import ModelError
from mlx_t2.models import SVFModel
from mlx_t2.svf import (
    BasisCache,
    decompose_each,
    decompose_weight,
)

rng = np.random.default_rng(0)
LEFT, RIGHT = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (24, 36))


def of_spectrum(s) -> np.ndarray:
    return (LEFT * np.asarray(s)) @ RIGHT[:, :24].T


NORMAL = rng.normal(size=(24, 36))
DEGENERATE = {
    "zero": np.zeros((24, 36)),
    "a zero row": NORMAL * (np.arange(24) != 3)[:, None],
    "rank 1": np.outer(NORMAL[:, 0], NORMAL[0]),
    "rank 5": NORMAL[:, :5] @ NORMAL[:5],
    "one row": NORMAL[:1],
    "one column": NORMAL[:, :1],
    "one number": NORMAL[:1, :1],
    "one number, zero": np.zeros((1, 1)),
    "around 1e-30": 1e-30 * NORMAL,
    "around 1e30": 1e30 * NORMAL,
    "one entry of 1e30": np.where(np.arange(24 * 36).reshape(24, 36) == 100, 1e30, NORMAL),
    "ill-conditioned, 1e8": of_spectrum(np.geomspace(1, 1e-8, 24)),
    "ill-conditioned, 1e20": of_spectrum(np.geomspace(1, 1e-20, 24)),
    "identity": np.eye(24, 36),
    "three values, each often": of_spectrum([3.0] * 8 + [2.0] * 8 + [1.0] * 8),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", DEGENERATE)
def test_a_degenerate_weight_has_a_basis_and_is_scaled_as_defined(name, transposed, kind):
    w = DEGENERATE[name].T if transposed else DEGENERATE[name]
    stack = np.stack([np.random.default_rng(1).normal(size=w.shape), w])
    layer = wearing(layer_of(kind, w if kind == "linear" else stack))
    weight = layer.base.weight
    basis = decompose_weight(weight)
    q, s = np.array(basis.q.dense()).astype(np.float64), np.array(basis.s)
    rank = q.shape[-1]
    # the root of what float64 leaves of a square: 1e-8 of the largest
    exact = np.linalg.svd(np.array(weight).astype(np.float64), compute_uv=False)
    assert np.all(np.abs(s - exact) <= 1e-6 * exact.max(axis=-1, keepdims=True))
    assert np.all(np.diff(s, axis=-1) <= 0)
    assert np.abs(q.swapaxes(-1, -2) @ q - np.eye(rank)).max() <= 1e-5
    # Vectors of equal singular values are any of their plane: W' is defined where z is the same
    # for all of them.
    equal = {"identity": 24, "three values, each often": 8}.get(name, 1)
    z = mx.repeat(random_z(layer, 0)[..., ::equal], equal, axis=-1)
    layer.wear(z)
    got, expected = layer.folded_weight(), worn_as_defined(weight, z)
    if kind == "linear":
        assert_is_weight(got, weight, expected)
    else:  # each on its own scale
        for index in range(2):
            assert_is_weight(got[index], weight[index], expected[index])
    layer.wear(mx.ones(layer.shape))
    assert mx.array_equal(layer.folded_weight(), weight).item()


@pytest.mark.parametrize("entry", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("path", ["model.layers.0.mlp.up_proj", "model.layers.1.mlp.down_proj"])
def test_a_model_with_a_weight_that_is_not_finite_is_refused_by_its_path(
    entry, path, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLX_T2_CACHE", str(tmp_path))
    network = tiny_network()
    base = dict(network.named_modules())[path]
    base.weight[5, 7] = entry
    model = SVFModel("tiny", network, tiny_tokenizer())
    with pytest.raises(ModelError, match=f"^{re.escape(path)}: the weight has NaN"):
        list(model.decompose())
    assert (model.shapes, model.worn, model.targets) == ({}, {}, None)
    base.weight[5, 7] = 0.1
    model = SVFModel("tiny", network, tiny_tokenizer())
    assert len(list(model.decompose())) == 6


@pytest.mark.parametrize("kind", ["switch", "multi"])
def test_a_stack_with_one_matrix_that_is_not_finite_is_refused_by_its_path(kind, tmp_path):
    base = layer_of(kind, random_weight(kind, 3, 5, 6, 0))
    base.weight[2, 1, 1] = float("inf")
    fine = layer_of("linear", random_weight("linear", 1, 5, 6, 0))
    found = decompose_each(
        {"a.fine": fine, "b.stack": base}, "{}-key".format, BasisCache(tmp_path)
    )
    with pytest.raises(ModelError, match=r"^b\.stack: the weight has NaN or infinite"):
        list(found)
