"""A prompt that the base reads once, for a first pass and for the answer."""

import mlx.core as mx
import pytest
from architectures import tiny
from helpers import assert_close, random_scales, tiny_tokenizer

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.reading import BasePrompt, last_hidden, read_alone
from mlx_t2.svf import Recipe

PROMPT = [*range(5, 16)]
LAST, AT = mx.array([PROMPT[-1:]]), mx.array([0])
UNLIKE = ["llama", "gemma3_text", "qwen3_moe", "lfm2", "deepseek_v3", "falcon_h1"]


def model_of(architecture: str) -> SVFModel:
    model = SVFModel(architecture, tiny(architecture), tiny_tokenizer())
    for _ in model.decompose(Recipe(targets="all")):
        pass
    return model


def next_scores(model, caches, scales) -> mx.array:
    """After the last token, which is read under the scales."""
    return model.logits_at(LAST, model.own(list(caches), scales), AT)


@pytest.mark.parametrize("first", ["state", "caches", "caches alone"])
@pytest.mark.parametrize("architecture", UNLIKE)
def test_state_and_caches_are_those_of_the_base_whichever_is_asked_for_first(
    architecture, first
):
    model = model_of(architecture)
    scales = random_scales(model.shapes, spread=0.3)
    expected = next_scores(model, read_alone(model, PROMPT), scales)
    with model.using(random_scales(model.shapes, 1)):
        prompt = BasePrompt(model, PROMPT)
        if first == "caches":
            assert len(prompt.caches) > 0
        state = None if first == "caches alone" else prompt.states()
        caches = prompt.caches
    if state is not None:
        assert_close(state, last_hidden(model, [PROMPT])[0])
    assert_close(next_scores(model, caches, scales), expected)


@pytest.fixture
def read(monkeypatch, tiny_model) -> list[int]:
    """Tokens of each forward pass from here on."""
    counted = []

    def count(forward):
        def counting(tokens, cache=None):
            counted.append(tokens.size)
            return forward(tokens, cache)

        return counting

    for name in ("hidden", "extend"):
        monkeypatch.setattr(tiny_model, name, count(getattr(tiny_model, name)))
    return counted


def test_plain_attention_reads_every_token_once(tiny_model, read):
    prompt = BasePrompt(tiny_model, PROMPT)
    assert read == []
    mx.eval(prompt.states(), prompt.states())
    assert {cache.offset for cache in prompt.caches} == {10}
    assert read == [11]


def test_a_prompt_that_is_read_in_pieces_is_the_same(tiny_model, read, monkeypatch):
    expected = last_hidden(tiny_model, [PROMPT])[0]
    scores = next_scores(tiny_model, read_alone(tiny_model, PROMPT), {})
    read.clear()
    monkeypatch.setattr("mlx_t2.reading.base_prompt.CHUNK", 5)
    prompt = BasePrompt(tiny_model, PROMPT)
    assert_close(prompt.states(), expected)
    assert read == [5, 5, 1]
    assert_close(next_scores(tiny_model, prompt.caches, {}), scores)


def test_folded_weights_are_not_in_the_way(tiny_model):
    scales = random_scales(tiny_model.shapes)
    expected = last_hidden(tiny_model, [PROMPT])[0]
    with tiny_model.using(scales, form="folded"):
        assert_close(BasePrompt(tiny_model, PROMPT).states(), expected)


def test_a_prompt_of_one_token_has_a_state_and_empty_caches(tiny_model):
    prompt = BasePrompt(tiny_model, [5])
    assert_close(prompt.states(), last_hidden(tiny_model, [[5]])[0])
    assert {cache.offset for cache in prompt.caches} == {0}


def test_an_empty_prompt_is_refused(tiny_model):
    with pytest.raises(ConfigError, match="got no tokens"):
        BasePrompt(tiny_model, [])
