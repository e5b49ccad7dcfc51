import dataclasses

import mlx.core as mx
import pytest
from helpers import tiny_network
from toy_task import CONFIG, HalfTheTokensEnd, StartHigh

from mlx_t2.models import SVFModel
from mlx_t2.recipes.lora import add_lora
from mlx_t2.training import train


@pytest.fixture
def model() -> SVFModel:
    return add_lora(SVFModel("tiny", tiny_network(), HalfTheTokensEnd()), rank=2)


def test_lora_at_one_is_the_base_model_and_elsewhere_its_formula(model):
    tokens = mx.array([[5, 6, 7]])
    base = model.network(tokens)
    ones = {path: mx.ones(shape) for path, shape in model.shapes.items()}
    with model.using(ones):
        assert mx.array_equal(model.network(tokens), base)
    path, layer = "model.layers.0.mlp.up_proj", model.network.model.layers[0].mlp.up_proj
    z = 1 + mx.random.normal(layer.shape, key=mx.random.key(0))
    a, b = layer._start + (z[:64] - 1).reshape(2, 32), (z[64:] - 1).reshape(64, 2)
    x = mx.random.normal((1, 3, 32), key=mx.random.key(1))
    with model.using({path: z}):
        expected = x @ (layer.base.weight + 20 * b @ a).T
        assert mx.allclose(layer(x), expected, atol=1e-4)


def test_lora_goes_through_the_same_loop(model, tmp_path):
    config = dataclasses.replace(CONFIG, lr=1e-2)
    reports = list(train(model, StartHigh(), config, tmp_path / "run"))
    assert reports[-1].change > 0
