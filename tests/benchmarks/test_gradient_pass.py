import mlx.core as mx
import pytest
from helpers import random_scales, tiny_network
from mlx_lm.tuner.utils import linear_to_lora_layers

from mlx_t2.benchmarks.gradient_pass import (
    batch_of_length,
    difference,
    draw_batch,
    lora_gradient,
    separate_gradient,
    shared_gradient,
)

PROMPTS = [[3, 4, 5, 6, 7], [3, 4, 5, 9], [3, 4, 8, 10, 11, 12]]


@pytest.fixture
def batch():
    return draw_batch(PROMPTS, group=4, length=5, vocabulary=64)


def test_every_side_gets_the_same_rows(batch):
    assert draw_batch(PROMPTS, 4, 5, 64) == batch
    assert [prompt for prompt, _, _ in batch.rows] == [p for p in PROMPTS for _ in range(4)]
    assert len({tuple(completion) for _, completion, _ in batch.rows}) == 12


def test_rows_on_their_own_sum_to_the_gradient_of_shared_prompts(tiny_model, batch):
    scales = random_scales(tiny_model.shapes, spread=0.1)
    ours, other = (f(tiny_model, batch, scales) for f in (shared_gradient, separate_gradient))
    assert ours.keys() == tiny_model.shapes.keys()
    assert all(mx.abs(z).max().item() > 0 for z in ours.values())
    assert difference(ours, other) < 1e-5


def test_the_difference_is_relative_to_the_whole_gradient():
    expected = {"a": mx.array([3.0, 0.0]), "b": mx.array([4.0])}
    got = expected | {"b": mx.array([4.5])}
    assert difference(got, expected) == pytest.approx(0.1)


def test_loras_loss_counts_completion_tokens_alone(batch):
    network = tiny_network()
    network.freeze()
    config = {"rank": 2, "scale": 1.0, "dropout": 0.0, "keys": ["mlp.up_proj"]}
    linear_to_lora_layers(network, 2, config)
    (_, tokens), gradient = lora_gradient(network, batch.rows)
    assert tokens.item() == 12 * 5
    assert gradient


def test_the_two_kinds_are_two_gradients_that_agree_where_there_is_no_prompt(tiny_model, batch):
    scales = random_scales(tiny_model.shapes, spread=0.1)
    ours, other = (shared_gradient(tiny_model, batch, scales, k) for k in ("answer", "all"))
    assert difference(ours, other) > 0.1
    short = draw_batch([[3], [4]], group=2, length=5, vocabulary=64)
    ours, other = (shared_gradient(tiny_model, short, scales, k) for k in ("answer", "all"))
    assert difference(ours, other) < 1e-6


def test_prompts_of_a_length_are_alike_in_nothing(tiny_model):
    batch = batch_of_length(tiny_model, 50)
    assert [len(prompt) for prompt in batch.prompts] == [50, 50]
    assert batch.prompts[0][:3] != batch.prompts[1][:3]
    assert (len(batch.rows), len(batch.rows[0][1])) == (16, 12)
