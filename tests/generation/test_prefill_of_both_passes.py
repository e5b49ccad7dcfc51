"""The first pass as the prefill of the answer, against the two passes one after the other."""

import mlx.core as mx
import pytest
from architectures import tiny
from helpers import random_scales, tiny_tokenizer

from mlx_t2.adaptation import Chosen, Mixed
from mlx_t2.experts import Expert
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.models import SVFModel, decompose
from mlx_t2.reading import last_hidden
from mlx_t2.routing import HeadRouter
from mlx_t2.routing.logistic import LinearHead
from mlx_t2.sampling import SamplingConfig, sample

GREEDY = SamplingConfig(temperature=0, max_tokens=6)
UNLIKE = ["llama", "gemma3_text", "qwen3_moe", "lfm2", "falcon_h1"]
"""Plain and rotating caches, experts, recurrences."""
LABELS = ("kind", "largest", "other")
CHAT = [
    {"role": "user", "content": "a tiny ant"},
    {"role": "assistant", "content": "animal"},
    {"role": "user", "content": "and my old plum?"},
]
LONG = [{"role": "user", "content": "a tiny ant, " * 180}]


def model_of(architecture: str) -> SVFModel:
    model = SVFModel(architecture, tiny(architecture), tiny_tokenizer())
    return decompose(model, "all")


def strategy_of(model, combine, blocks):
    """Experts of the answer that change a lot, and a head that weighs them at random."""
    width = last_hidden(model, [[5, 6]], blocks).shape[-1]
    weight = mx.random.normal((3, width), key=mx.random.key(len(blocks))) / width**0.5
    head = LinearHead(
        weight, mx.array([0.0, 0.0, -30.0]), mx.zeros((width,)), mx.ones((width,))
    )
    name, fingerprint = model.name, model.fingerprint()
    router = HeadRouter(model, LABELS, head, blocks, 0.0, name, fingerprint)
    experts = {
        label: Expert(
            *(label, random_scales(model.shapes, seed, spread=1.5), name),
            *(model.fingerprint("all"), "all", None, label, seed, {}, {}),
            acts_on="answer",
        )
        for seed, label in enumerate(LABELS[:-1])
    }
    return combine("mixture", router, experts)


def check(model, strategy, messages):
    """Route and answer are those of a pass for the route and, after it, one for the answer."""
    (adapted,) = strategy.adapt([messages])
    prompt = model.encode(messages)
    with model.using(adapted.scales, acts_on="answer"):
        expected = sample(model, [prompt], GREEDY)[0][0].tokens
    assert expected != sample(model, [prompt], GREEDY)[0][0].tokens  # else nothing was tested
    request = AdaptiveGenerator(model, strategy).stream(messages, GREEDY)
    assert tuple(token.id for token in request) == expected
    route = request.answer.route
    assert route.label == adapted.label
    assert route.scores == pytest.approx(dict(adapted.scores), 1e-4)


@pytest.mark.parametrize(
    ("combine", "blocks"),
    [(Chosen, (0,)), (Mixed, (0,)), (Mixed, (0, 1)), (Mixed, ())],
    ids=str,
)
@pytest.mark.parametrize("architecture", UNLIKE)
def test_route_and_answer_are_those_of_two_passes(architecture, combine, blocks):
    model = model_of(architecture)
    check(model, strategy_of(model, combine, blocks), CHAT)


@pytest.mark.parametrize("architecture", UNLIKE)
def test_a_prompt_that_is_read_in_pieces_has_the_same_route_and_answer(
    architecture, monkeypatch
):
    for file in ("base_prompt", "rows", "logprobs"):
        monkeypatch.setattr(f"mlx_t2.reading.{file}.CHUNK", 7)
    model = model_of(architecture)
    check(model, strategy_of(model, Mixed, (0, 1)), CHAT)


def test_more_than_2048_tokens_have_the_same_route_and_answer(tiny_model):
    assert len(tiny_model.encode(LONG)) > 2048
    network = decompose(SVFModel("tiny", tiny_model.network, tiny_tokenizer()), "all")
    check(network, strategy_of(network, Chosen, (0,)), LONG)
