import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close

from mlx_t2.training.parametrisation import bands, direct, sigmoid

S = {"layers.0.up": mx.array([4.0, 2.0, 1.0]), "layers.1.up": mx.array([[3.0, 1.0]] * 2)}
SHAPES = {path: tuple(s.shape) for path, s in S.items()}


def test_direct_starts_at_one_and_is_z_itself():
    form = direct(SHAPES, {})
    assert all((z == 1).all().item() for z in form.scales(form.initial).values())
    start = {"layers.0.up": mx.array([1.0, 2.0, 3.0])}
    assert form.scales(form.initial) is form.initial
    assert_close(direct(SHAPES, start).initial["layers.0.up"], [1.0, 2.0, 3.0])


def test_sigmoid_by_hand():
    """p = (0, ln 3, 0): sigmoid (½, ¾, ½); Σs = 7, Σ(s ⊙ z) = 2 + 1.5 + 0.5 = 4."""
    form = sigmoid(S, seed=0)
    p = {"layers.0.up": mx.array([0.0, np.log(3), 0.0]), "layers.1.up": mx.zeros((2, 2))}
    scales = form.scales(p)
    assert_close(scales["layers.0.up"], np.array([0.5, 0.75, 0.5]) * 7 / 4)
    assert_close(scales["layers.1.up"], np.ones((2, 2)))


def test_sigmoid_keeps_the_sum_of_each_weights_singular_values():
    form = sigmoid(S, seed=3)
    for path, z in form.scales(form.initial).items():
        assert_close((z * S[path]).sum(axis=-1), np.array(S[path].sum(axis=-1)))


def test_sigmoid_is_drawn_around_a_tenth_with_the_papers_variance():
    p = sigmoid({"w": mx.ones((100_000,))}, seed=0).initial["w"]
    assert p.mean().item() == pytest.approx(0.1, abs=5e-4)  # five standard errors
    assert p.var().item() == pytest.approx(1e-3, rel=0.03)


def test_a_band_is_one_number_for_its_kind_in_all_layers():
    shapes = {"l.0.up": (4,), "l.1.up": (6,), "l.0.down": (2, 4)}
    form = bands(shapes, 2)
    assert {k: v.shape for k, v in form.initial.items()} == {"up": (2,), "down": (2,)}
    scales = form.scales({"up": mx.array([2.0, 3.0]), "down": mx.array([4.0, 5.0])})
    assert scales["l.0.up"].tolist() == [2, 2, 3, 3]
    assert scales["l.1.up"].tolist() == [2, 2, 2, 3, 3, 3]
    assert scales["l.0.down"].tolist() == [[4, 4, 5, 5]] * 2
    assert all((z == 1).all().item() for z in form.scales(form.initial).values())
