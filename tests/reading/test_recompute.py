"""Blocks computed again when their gradient is due: the same gradients, in less memory."""

import gc

import mlx.core as mx
import mlx.nn as nn
import pytest
from architectures import tiny
from helpers import assert_close, random_scales, tiny_network, tiny_tokenizer

from mlx_t2.models import SVFModel
from mlx_t2.reading import completion_logprobs, recompute_blocks
from mlx_t2.sampling import SamplingConfig, sample
from mlx_t2.svf import Recipe

PROMPTS = [[5, 6, 7, 8, 9], [5, 6, 7, 10], [5, 6, 11, 12, 13, 14, 15]]
COMPLETIONS = [[[3, 4, 5], [9]], [[1, 2]], [[4, 4], [5], [6, 7, 8]]]


def model_of(network: nn.Module) -> SVFModel:
    model = SVFModel("tiny", network, tiny_tokenizer())
    for _ in model.decompose(Recipe(targets="all")):
        pass
    return model


def quantised() -> nn.Module:
    network = tiny_network(hidden=64)
    nn.quantize(network, group_size=32, bits=4)
    return network


NETWORKS = {
    "llama": tiny_network,
    "llama, 4 bits": quantised,
    "mixture of experts": lambda: tiny("qwen3_moe"),
    "keys shared between layers": lambda: tiny("gemma4_text"),
    "half of its blocks recurrent": lambda: tiny("qwen3_next"),
    "no cache that can be recompute_blocks": lambda: tiny("mamba2"),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_gradients_are_the_same(network):
    model = model_of(network())
    scales = random_scales(model.shapes, spread=0.1)

    def loss(scales):
        with model.using(scales):
            return completion_logprobs(model, PROMPTS, COMPLETIONS).sum()

    def recomputed(scales):
        with recompute_blocks(model):
            return loss(scales)

    (value, expected), (same, got) = (
        mx.value_and_grad(function)(scales) for function in (loss, recomputed)
    )
    assert value.item() == same.item()
    assert max(mx.abs(gradient).max().item() for gradient in expected.values()) > 0.1
    for path in scales:
        assert_close(got[path], expected[path])


def test_a_gradient_takes_less_memory():
    model = model_of(tiny_network(layers=12, hidden=64))
    scales = random_scales(model.shapes, spread=0.1)
    prompts, completions = [[5 + i, *range(6, 40)] for i in range(4)], [[[7] * 64] * 4] * 4

    def loss(scales):
        with model.using(scales):
            return completion_logprobs(model, prompts, completions).sum()

    def peak(function) -> int:
        gc.collect()
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        mx.eval(mx.grad(function)(scales))
        return mx.get_peak_memory() - before

    def recomputed(scales):
        with recompute_blocks(model):
            return loss(scales)

    mx.eval(loss(scales))
    assert peak(recomputed) < peak(loss) / 2


def test_the_classes_are_as_they_were_afterwards():
    model, other = model_of(tiny_network()), model_of(tiny_network())
    kind = type(model.network.layers[0])
    before = kind.__call__

    def stopped():
        with recompute_blocks(model):
            assert kind.__call__ is not before
            assert_close(other.network(mx.array([[5]])), model.network(mx.array([[5]])))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stopped()
    assert kind.__call__ is before


def test_samples_are_the_same(tiny_model):
    config = SamplingConfig(max_tokens=8)
    expected = sample(tiny_model, PROMPTS, config, group=2)
    with recompute_blocks(tiny_model):
        assert sample(tiny_model, PROMPTS, config, group=2) == expected
