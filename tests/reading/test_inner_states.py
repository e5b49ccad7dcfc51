"""States between blocks, on networks small enough to be read block by block."""

import mlx.core as mx
import pytest
from architectures import tiny
from helpers import assert_close, random_scales, tiny_network, tiny_tokenizer

from mlx_t2.errors import ModelError
from mlx_t2.models import SVFModel
from mlx_t2.reading import count_blocks, last_hidden
from mlx_t2.reading.inner_states import last_states

PROMPTS = [[5, 6, 7, 8], [9, 10, 11, 12, 13, 14], [5, 6, 20]]


def cut(seed: int, layers: int) -> SVFModel:
    """The first blocks of a model of three, and no final norm."""
    network = tiny_network(seed, layers=3)
    network.model.layers = network.model.layers[:layers]
    network.model.norm = lambda states: states
    return SVFModel("cut", network, tiny_tokenizer())


@pytest.fixture
def model():
    return SVFModel("three", tiny_network(0, layers=3), tiny_tokenizer())


@pytest.mark.parametrize("block", range(3))
def test_the_states_after_a_block_are_those_of_a_network_that_ends_there(model, block):
    shorter = cut(0, block + 1)
    for prompts in (PROMPTS, PROMPTS[:1]):
        got = last_hidden(model, prompts, (block,))
        for row, prompt in zip(got, prompts, strict=True):
            assert_close(row, shorter.network.model(mx.array([prompt]))[0, -1])


def test_several_blocks_stand_side_by_side_in_the_order_asked_for(model):
    both = last_hidden(model, PROMPTS, (2, 0))
    apart = [last_hidden(model, PROMPTS, (block,)) for block in (2, 0)]
    assert mx.array_equal(both, mx.concatenate(apart, axis=1))


def test_without_blocks_it_is_the_state_after_the_final_norm(model):
    tokens = mx.array(PROMPTS[:1])
    assert_close(last_states(model, tokens, None), model.hidden(tokens)[:, -1])
    assert_close(last_hidden(model, PROMPTS)[:1], model.hidden(tokens)[:, -1])


def test_the_network_is_left_as_it_was(model):
    kind = type(model.network.layers[0])
    before = kind.__call__
    last_hidden(model, PROMPTS, (1,))
    assert kind.__call__ is before
    with pytest.raises(ModelError, match="three: got block 3, expected one of its 3"):
        last_hidden(model, PROMPTS, (3,))
    assert kind.__call__ is before


def test_a_long_prompt_is_read_piece_by_piece_to_the_same_states(model, monkeypatch):
    whole = last_hidden(model, PROMPTS[1:2], (0, 1))
    monkeypatch.setattr("mlx_t2.reading.logprobs.CHUNK", 4)
    assert_close(last_hidden(model, PROMPTS[1:2], (0, 1)), whole)


def test_scales_are_in_the_states(tiny_model):
    base = last_hidden(tiny_model, PROMPTS, (1,))
    with tiny_model.using(random_scales(tiny_model.shapes, 1)):
        assert mx.max(mx.abs(last_hidden(tiny_model, PROMPTS, (1,)) - base)).item() > 1e-3


@pytest.mark.parametrize("name", ["gemma3_text", "qwen3", "mamba2", "phi3", "gpt2"])
def test_other_architectures_have_blocks_too(name):
    model = SVFModel(name, tiny(name), tiny_tokenizer())
    n = count_blocks(model)
    assert n > 0
    states = last_hidden(model, [[5, 6, 7]], (0, n - 1))
    assert states.shape[0] == 1
    assert mx.all(mx.isfinite(states)).item()
