import mlx.core as mx
import pytest

from mlx_t2.training import TrainConfig
from mlx_t2.training.optimizer import Optimizer, learning_rate


def rates(**settings):
    at = learning_rate(TrainConfig(lr=1e-2, **settings))
    return [float(at(mx.array(step))) for step in range(settings.get("steps", 20))]


def test_a_constant_rate_is_constant():
    assert rates() == pytest.approx([1e-2] * 20)


def test_a_warm_up_rises_to_the_rate_and_never_stands_still():
    assert rates(warmup=4)[:5] == pytest.approx([0.25e-2, 0.5e-2, 0.75e-2, 1e-2, 1e-2])


def test_a_cosine_falls_from_the_rate_to_nothing():
    found = rates(schedule="cosine", steps=4)
    assert found == pytest.approx([1e-2, 0.8536e-2, 0.5e-2, 0.1464e-2], rel=1e-3)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_first_step_is_as_long_as_the_rate(name):
    """With bias correction a first step is lr · sign(gradient); MLX's default is ten times as
    long.
    """
    optimizer = Optimizer(TrainConfig(lr=1e-2, optimizer=name))
    z = {"w": mx.array([1.0, 1.0])}
    moved, _ = optimizer.step(z, {"w": mx.array([0.3, -20.0])}, optimizer.initial(z))
    decay = 0.01 * 1e-2 if name == "adamw" else 0
    assert moved["w"].tolist() == pytest.approx([0.99 - decay, 1.01 - decay], rel=1e-6)


def test_a_step_leaves_the_state_that_it_starts_from_as_it_is():
    optimizer = Optimizer(TrainConfig())
    z, gradient = {"w": mx.array([1.0])}, {"w": mx.array([2.0])}
    start = optimizer.initial(z)
    first, middle = optimizer.step(z, gradient, start)
    optimizer.step(first, gradient, middle)
    again, _ = optimizer.step(z, gradient, start)
    assert again["w"].item() == first["w"].item()
    assert (start["step"].item(), middle["step"].item()) == (0, 1)
