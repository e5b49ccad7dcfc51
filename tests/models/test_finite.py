"""Scores that are not finite, wherever they are read."""

from dataclasses import replace

import mlx.core as mx
import pytest
from helpers import tiny_network, tiny_tokenizer
from mlx.utils import tree_flatten

from mlx_t2.errors import ScoresError
from mlx_t2.models import SVFModel, decompose
from mlx_t2.reading import batching
from mlx_t2.routing import Category, PromptRouter
from mlx_t2.routing.head import hidden_states
from mlx_t2.sampling import ContinuousBatch, SamplingConfig, sample, stream
from mlx_t2.sampling.draw import NOT_FINITE, draw_tokens

GREEDY = SamplingConfig(temperature=0, max_tokens=4)
WARM = replace(GREEDY, temperature=1.0)
USER = [{"role": "user", "content": "one"}]
NAN, INFINITY = float("nan"), float("inf")


def broken(path: str, value: float) -> SVFModel:
    network = tiny_network()
    weights = dict(tree_flatten(network.parameters()))
    weights[path][0] = value
    network.load_weights(list(weights.items()))
    return SVFModel("tiny", network, tiny_tokenizer())


@pytest.mark.parametrize("value", [NAN, INFINITY])
@pytest.mark.parametrize("path", ["model.norm.weight", "model.layers.1.mlp.down_proj.weight"])
@pytest.mark.parametrize("config", [GREEDY, WARM])
def test_a_weight_that_is_not_finite_is_named_where_tokens_are_drawn(path, value, config):
    model = broken(path, value)
    for draw in (
        lambda: sample(model, [[5, 6]], config),
        lambda: sample(model, [[5, 6], [7]], config, 2),
        lambda: list(stream(model, [5, 6], config)),
        lambda: model.once(batching),
    ):
        with pytest.raises(ScoresError, match=rf"tiny: .* finite numbers: {path} has entries"):
            draw()


def test_it_is_named_where_a_first_pass_reads_it():
    model = broken("model.layers.0.mlp.down_proj.weight", NAN)
    with pytest.raises(ScoresError, match=r"layers\.0\.mlp\.down_proj\.weight"):
        hidden_states(model, [USER])  # between blocks, below the final norm
    model = broken("model.norm.weight", NAN)
    with pytest.raises(ScoresError, match=r"model\.norm\.weight"):
        PromptRouter(model, {"a": Category()}).posterior([USER])


def test_an_embedding_row_is_found_only_where_it_is_read():
    model = broken("model.embed_tokens.weight", NAN)
    assert model.network.args.tie_word_embeddings  # so it is a score of every token, too
    with pytest.raises(ScoresError, match=r"embed_tokens\.weight has entries"):
        sample(model, [[5]], GREEDY)


@pytest.mark.parametrize("z", [1e30, NAN])
def test_scales_that_overflow_are_blamed_and_the_model_is_itself_again(tiny_model, z):
    expected = sample(tiny_model, [[5]], GREEDY)
    scales = {path: mx.full(shape, z) for path, shape in tiny_model.shapes.items()}
    with (
        tiny_model.using(scales),
        pytest.raises(ScoresError, match="the scales that it wears are too large") as error,
    ):
        sample(tiny_model, [[5]], GREEDY)
    assert error.value.by_scales
    assert sample(tiny_model, [[5]], GREEDY) == expected


def test_a_row_of_a_batch_is_blamed_for_its_own_scales():
    model = decompose(SVFModel("tiny", tiny_network(), tiny_tokenizer()))
    batch = ContinuousBatch(model)
    batch.insert([5, 6], {}, GREEDY)
    batch.insert([5, 6], {p: mx.full(s, 1e30) for p, s in model.shapes.items()}, GREEDY)
    with pytest.raises(ScoresError, match="the scales that it wears"):
        batch.step()
    batch.close()


def test_a_token_that_cannot_follow_is_no_fault():
    row = mx.array([[0.0, -INFINITY, 1.0]])
    bad = [[0.0, NAN, 1.0], [0.0, INFINITY, 1.0], [-INFINITY] * 3]
    logits = mx.concatenate([row, mx.array(bad)])
    for uniforms in (None, mx.array([0.9] * 4)):
        temperatures = [1.0 if uniforms is not None else 0.0] * 4
        drawn = draw_tokens(logits, temperatures, uniforms)
        assert drawn.tolist() == [2, NOT_FINITE, NOT_FINITE, NOT_FINITE]
