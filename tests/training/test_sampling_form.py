"""In which form a step's completions are sampled."""

import mlx.core as mx
import mlx.nn as nn
import pytest
from even_length import EvenLength
from helpers import tiny_network, tiny_tokenizer

from mlx_t2.models import SVFModel
from mlx_t2.training import TrainConfig
from mlx_t2.training.sampling_form import choose_sampling_form


def model_of(network) -> SVFModel:
    model = SVFModel("tiny", network, tiny_tokenizer())
    for _ in model.decompose():
        pass
    return model


def form(model, prompts: int, group: int, acts_on="answer") -> str:
    config = TrainConfig(prompts=prompts, group=group, acts_on=acts_on)
    task = EvenLength()
    return choose_sampling_form(model, task, config, task.step(prompts, 0)).form


def test_a_few_tokens_are_sampled_live_and_many_beside():
    model = model_of(tiny_network(hidden=64))  # n = 64: as many tokens pay
    longest = EvenLength().max_tokens
    assert form(model, 1, 64 // longest - 1 or 1) == "live"
    assert form(model, 8, 64) == "beside"


@pytest.mark.parametrize("acts_on", ["all", "answer"])
def test_prompts_count_where_they_are_read_under_the_scales(acts_on):
    model = model_of(tiny_network(hidden=128))
    group = 128 // EvenLength().max_tokens - 1
    expected = "beside" if acts_on == "all" else "live"
    assert form(model, 1, group, acts_on) == expected


def test_what_is_beside_a_quantised_weight_is_rounded_and_not_sampled_from():
    network = tiny_network(hidden=64)
    nn.quantize(network, group_size=64, bits=4)
    assert form(model_of(network), 8, 64) == "live"


def test_a_model_in_half_precision_is_sampled_beside_too():
    network = tiny_network(hidden=64)
    network.set_dtype(mx.bfloat16)
    assert form(model_of(network), 8, 64) == "beside"
