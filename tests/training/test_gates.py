"""What every trainer should be held to, on a dense, a quantised, a mixture-of-experts and two
recurrent models: peers have shipped trainers that silently did nothing.
"""

import dataclasses

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from architectures import tiny
from helpers import assert_close, random_scales, tiny_network
from mlx_lm.models.cache import make_prompt_cache
from toy_task import CONFIG, HalfTheTokensEnd, StartHigh

from mlx_t2.models import SVFModel, decompose
from mlx_t2.reading import completion_logprobs
from mlx_t2.sampling import SamplingConfig, sample
from mlx_t2.training import TrainConfig, train
from mlx_t2.training.checkpoint import load_state
from mlx_t2.training.gradient import AdvantageGroup, Objective
from mlx_t2.training.parametrisation import direct

pytestmark = pytest.mark.whole_runs


def quantised():
    network = tiny_network(hidden=64)
    nn.quantize(network, group_size=32, bits=4)
    return network


NETWORKS = {
    "dense": tiny_network,
    "quantised": quantised,
    "mixture of experts": lambda: tiny("qwen3_moe"),
    "recurrent": lambda: tiny("mamba2"),
    "recurrent, equal lengths": lambda: tiny("jamba"),
}
PROMPTS = [[33, 40, 41, 42, 43], [33, 40, 50], [33, 40, 41, 60, 61, 62]]


@pytest.fixture(scope="module", params=NETWORKS)
def model(request) -> SVFModel:
    network = NETWORKS[request.param]()
    return decompose(SVFModel("tiny", network, HalfTheTokensEnd()), "all")


@pytest.fixture(scope="module")
def scales(model):
    return random_scales(model.shapes, spread=0.05)


@pytest.fixture(scope="module", params=["all", "answer"])
def acts_on(request) -> str:
    return request.param


def drawn(model, scales, acts_on="all", copies=3):
    config = SamplingConfig(temperature=1, max_tokens=6, seed=5)
    with model.using(scales, acts_on=acts_on):
        return sample(model, PROMPTS, config, copies)


def alone(model, tokens, start):
    """log π of what comes after `start` tokens, in one plain forward pass without a cache."""
    return picked(model.network(mx.array([tokens]))[0, start - 1 :], tokens[start:])


def alone_behind_the_base(model, scales, tokens, start):
    """The same token by token, the prompt read by the base before anything is worn."""
    cache = make_prompt_cache(model.network)
    if start > 1:
        model.network(mx.array([tokens[: start - 1]]), cache=cache)
    with model.using(scales):
        logits = [model.network(mx.array([[t]]), cache=cache)[0] for t in tokens[start - 1 :]]
    return picked(mx.concatenate(logits), tokens[start:])


def picked(logits, tokens):
    logits = logits.astype(mx.float32)
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    return [logprobs[i, token].item() for i, token in enumerate(tokens)]


def test_a_batch_samples_what_each_prompt_samples_alone(model, scales, acts_on):
    together = drawn(model, scales, acts_on)
    config = SamplingConfig(temperature=1, max_tokens=6, seed=5)
    with model.using(scales, acts_on=acts_on):
        for number, prompt in enumerate(PROMPTS):
            (group,) = sample(model, [prompt], config, 3, [number])
            assert group == together[number]


def test_fresh_samples_have_ratio_one(model, scales):
    groups = drawn(model, scales)
    completions = [[c.tokens for c in group] for group in groups]
    with model.using(scales):
        scored = completion_logprobs(model, PROMPTS, completions)
        plain = [
            logprob
            for prompt, group in zip(PROMPTS, completions, strict=True)
            for tokens in group
            for logprob in alone(model, [*prompt, *tokens], len(prompt))
        ]
    assert_close(mx.exp(scored - mx.array(plain)), np.ones(scored.shape), 1e-4)


def test_fresh_samples_behind_a_prompt_of_the_base_have_ratio_one(model, scales):
    groups = drawn(model, scales, "answer")
    completions = [[c.tokens for c in group] for group in groups]
    with model.using(scales, acts_on="answer"):
        scored = completion_logprobs(model, PROMPTS, completions)
    plain = [
        logprob
        for prompt, group in zip(PROMPTS, completions, strict=True)
        for tokens in group
        for logprob in alone_behind_the_base(model, scales, [*prompt, *tokens], len(prompt))
    ]
    assert_close(mx.exp(scored - mx.array(plain)), np.ones(scored.shape), 1e-4)


def weighted(model, scales):
    rng = np.random.default_rng(0)
    return [
        AdvantageGroup(tuple(p), tuple(c.tokens for c in g), tuple(rng.normal(size=3).tolist()))
        for p, g in zip(PROMPTS, drawn(model, scales), strict=True)
    ]


def objective(model, **settings):
    config = TrainConfig(prompts=3, group=3, targets="all", **settings)
    return Objective(model, direct(model.shapes, {}), config)


def test_the_gradient_is_the_finite_difference(model, scales, acts_on):
    of, groups = objective(model, kl=0.1, acts_on=acts_on), weighted(model, scales)
    gradient = of.gradient(scales, groups, 9).arrays
    norm = sum((g * g).sum().item() for g in gradient.values()) ** 0.5
    direction = {k: g / norm for k, g in gradient.items()}  # where the slope is steepest
    step = 2e-3  # small, so that no router changes its mind on the way

    def loss(sign):
        moved = {k: scales[k] + sign * step * direction[k] for k in scales}
        return of.gradient(moved, groups, 9).loss.item()

    assert (loss(1) - loss(-1)) / (2 * step) == pytest.approx(norm, rel=2e-2)


def test_parts_add_up_to_the_whole(model, scales, acts_on):
    of, groups = objective(model, kl=0.1, acts_on=acts_on), weighted(model, scales)
    whole = of.gradient(scales, groups, 9).arrays
    for rows in (1, 4):
        cut = of.gradient(scales, groups, rows).arrays
        for path in scales:
            assert_close(cut[path], whole[path], 1e-4)


def test_recomputed_activations_leave_the_gradient_as_it_is(model, scales, acts_on):
    groups = weighted(model, scales)
    plain, again = (
        objective(model, checkpointing=on, acts_on=acts_on).gradient(scales, groups, 9).arrays
        for on in (False, True)
    )
    for path in scales:
        assert_close(again[path], plain[path], 1e-4)


def test_every_scale_that_the_answer_depends_on_moves(model, tmp_path):
    config = dataclasses.replace(CONFIG, steps=2, test=0, targets="all", validation=4)
    reports = list(train(model, StartHigh(), config, tmp_path / "run"))
    assert all(r.gradient_norm > 0 and r.change > 0 for r in reports if not r.is_skipped)
    assert not all(r.is_skipped for r in reports)
    assert model.worn == {}
    trained = load_state(tmp_path / "run" / "checkpoint" / "step-000002.safetensors").parameters
    assert [path for path, z in trained.items() if mx.all(z == 1).item()] == []
