"""Where tables end."""

from dataclasses import replace

import mlx.core as mx
import pytest
from architectures import tiny
from helpers import tiny_network, tiny_tokenizer

from mlx_t2.errors import ConfigError, ModelError, ModelWarning
from mlx_t2.models import SVFModel, check_tokens
from mlx_t2.models.limits import find_limits
from mlx_t2.reading import completion_logprobs
from mlx_t2.sampling import ContinuousBatch, SamplingConfig, sample, stream

CONFIG = SamplingConfig(temperature=0, max_tokens=6)


@pytest.fixture(params=["gpt2", "gpt_bigcode"])
def learned(request) -> SVFModel:
    """A model with a learned table of 128 positions."""
    return SVFModel("learned", tiny(request.param), tiny_tokenizer())


def test_a_table_of_positions_is_found_by_what_it_is_asked_for(learned, tiny_model):
    assert learned.once(find_limits).positions == 128
    assert learned.once(find_limits).vocabulary == 64
    assert tiny_model.once(find_limits) == replace(
        learned.once(find_limits), positions=None, trained=None
    )


@pytest.mark.parametrize("name", ["gemma3n", "gemma4_text", "llama", "longcat_flash_ngram"])
def test_other_tables_are_not_taken_for_positions(name):
    limits = SVFModel("m", tiny(name), tiny_tokenizer()).once(find_limits)
    assert (limits.positions, limits.vocabulary) == (None, 64)


def test_a_prompt_past_the_table_is_refused_wherever_tokens_go_in(learned):
    prompt = [5] * 129
    for read in (
        lambda: sample(learned, [prompt], CONFIG),
        lambda: sample(learned, [prompt, [5]], CONFIG, 2),
        lambda: next(stream(learned, prompt, CONFIG)),
        lambda: completion_logprobs(learned, [[5] * 120], [[[5] * 10]]),
    ):
        with pytest.raises(ModelError, match=r"learned: got 129 .* at most 128"):
            read()


def test_a_continuous_batch_refuses_it_too():
    model = SVFModel("learned", tiny("gpt2"), tiny_tokenizer())
    with pytest.raises(ModelError, match=r"got 129 .* at most 128"):
        ContinuousBatch(model).insert([5] * 129, {}, CONFIG)


def test_an_answer_ends_where_the_table_does(learned):
    with pytest.warns(ModelWarning, match=r"128 positions: .* ends at 3, not at 6"):
        (((answer,),)) = sample(learned, [[5] * 126], CONFIG)
    assert 1 <= len(answer.tokens) <= 3


def test_rows_beside_one_that_has_ended_read_nothing_past_the_table():
    model = SVFModel("learned", tiny("gpt2"), tiny_tokenizer())
    model.once(find_limits)
    table = model.network.model.wpe
    last = table.weight[-1]
    assert mx.array_equal(table(mx.array([127, 128, 10_000])), mx.stack([last] * 3))


@pytest.mark.parametrize("token", [64, 2**31, -1])
def test_a_token_without_a_row_is_refused(tiny_model, token):
    with pytest.raises(ModelError, match=rf"tiny: got token {token}, expected 0 to 63"):
        check_tokens(tiny_model, [[5], [5, token, 5]])


def test_no_tokens_are_refused(tiny_model):
    with pytest.raises(ConfigError, match="got no tokens"):
        sample(tiny_model, [[5], []], CONFIG)


def test_more_than_a_rotary_model_was_made_for_is_said_once(recwarn):
    network = tiny_network()
    network.args.max_position_embeddings = 10
    model = SVFModel("tiny", network, tiny_tokenizer())
    check_tokens(model, [[5] * 10])
    assert not recwarn.list
    for _ in range(2):
        check_tokens(model, [[5] * 11])
    assert "11 tokens are read, and it was made for 10" in str(
        recwarn.pop(ModelWarning).message
    )
    assert not recwarn.list
