"""Prompts that the base has read once, for all that goes on from them."""

import mlx.core as mx
import pytest
from architectures import tiny
from helpers import assert_close, random_scales, tiny_tokenizer

from mlx_t2.models import SVFModel
from mlx_t2.reading import BaseReadings, completion_logprobs, prefill
from mlx_t2.sampling import SamplingConfig, sample
from mlx_t2.svf import BASE, Recipe

PROMPTS = [[5, 6, 7, 8, 9], [5, 6, 11], [9, 8, 7, 6, 5, 4, 3]]
COMPLETIONS = [[[1, 2], [3]], [[4, 5, 6]], [[7], [8, 9]]]


@pytest.fixture(params=["llama", "gemma3_text", "lfm2"])
def model(request):
    model = SVFModel(request.param, tiny(request.param), tiny_tokenizer())
    for _ in model.decompose(Recipe()):
        pass
    return model


def read_apart(model, prompt):
    """The scores of one prompt's last token, read alone."""
    rows = prefill(model, [prompt], BASE)
    return model.logits_at(mx.array(rows.last)[:, None], rows.caches, mx.arange(1))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0), (1, 1, 0), (2,)])
def test_prompts_of_several_batches_are_found_in_any_order(model, order):
    readings = BaseReadings(model)
    readings.read(PROMPTS[:2])
    rows = readings.read([PROMPTS[i] for i in order])
    at = mx.arange(len(order))
    got = model.logits_at(mx.array(rows.last)[:, None], rows.caches, at)
    expected = mx.concatenate([read_apart(model, PROMPTS[i]) for i in order])
    assert_close(got, expected)


def test_what_goes_on_from_a_copy_leaves_the_reading_as_it_is(model):
    readings = BaseReadings(model)
    for _ in range(2):
        rows = readings.read(PROMPTS[:1])
        got = model.logits_at(mx.array(rows.last)[:, None], rows.caches, mx.arange(1))
        assert_close(got, read_apart(model, PROMPTS[0]))


def test_sampling_reads_for_the_gradient_too(model, monkeypatch):
    read, extend = [], SVFModel.extend

    def watch(self, tokens, caches):
        read.append(tokens)
        extend(self, tokens, caches)

    monkeypatch.setattr(SVFModel, "extend", watch)
    readings, config = BaseReadings(model), SamplingConfig(max_tokens=3)
    with model.using(random_scales(model.shapes, 0), acts_on="answer"):
        sample(model, PROMPTS, config, 2, readings=readings)
        sampled = len(read)
        got = completion_logprobs(model, PROMPTS, COMPLETIONS, readings=readings)
        assert len(read) == sampled > 0
        assert_close(got, completion_logprobs(model, PROMPTS, COMPLETIONS))
        assert len(read) > sampled
        readings.clear()
        completion_logprobs(model, PROMPTS[:1], COMPLETIONS[:1], readings=readings)
    assert len(read) > sampled + 1
