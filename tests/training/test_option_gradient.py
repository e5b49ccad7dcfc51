"""The gradient over options: that of the expected reward itself, in closed form, by autodiff
and by finite differences in float64.
"""

import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close, random_scales
from numpy_llama import NumpyLlama

from mlx_t2.training import TrainConfig
from mlx_t2.training.advantages import of_options
from mlx_t2.training.gradient import AdvantageGroup, Objective
from mlx_t2.training.parametrisation import direct

PROMPTS = ((5, 6, 7, 8), (5, 6, 9), (11,))
OPTIONS = (((3, 4, 2), (9, 2), (4,)), ((1, 2), (7, 7, 7, 2, 5, 6, 1)), ((8,), (9,), (10, 3)))
REWARDS = ((1.0, 0.0, 0.0), (0.0, 1.0), (0.5, -1.0, 1.0))


@pytest.fixture
def scales(tiny_model):
    return random_scales(tiny_model.shapes, spread=0.1)


def log_policies(model, scales):
    """log π of every problem's options, each read alone in one plain forward pass."""
    found = []
    for prompt, options in zip(PROMPTS, OPTIONS, strict=True):
        scores = []
        for option in options:
            tokens = mx.array([[*prompt, *option]])
            with model.using(scales):
                logits = model.network(tokens)[0, len(prompt) - 1 : -1]
            logs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
            scores.append(mx.take_along_axis(logs, mx.array(option)[:, None], axis=-1).mean())
        s = mx.stack(scores)
        found.append(s - mx.logsumexp(s))
    return found


def expected(model, scales, kl, form):
    """−(mean over the problems of) Σ π r, with the divergence of the options' policies."""
    base = log_policies(model, {})
    total = mx.array(0.0)
    for log, b, rewards in zip(log_policies(model, scales), base, REWARDS, strict=True):
        total = total - (mx.exp(log) * mx.array(rewards)).sum()
        one, other = (b, log) if form == "reference" else (log, b)
        total = total + kl * (mx.exp(one) * (one - other)).sum()
    return total / len(PROMPTS)


def groups_of(model, scales, size, kl, form):
    """As the learner makes them."""
    logs, bases = log_policies(model, scales), log_policies(model, {})
    found = []
    for i, prompt in enumerate(PROMPTS):
        advantages = of_options(
            REWARDS[i],
            logs[i].tolist(),
            bases[i].tolist() if kl else None,
            kl,
            form != "reference",
        )
        scaled = tuple(size * a for a in advantages)
        found.append(AdvantageGroup(prompt, OPTIONS[i], scaled, is_choice=True))
    return found


@pytest.mark.parametrize(
    ("kl", "form"), [(0.0, "k2"), (0.3, "k2"), (0.3, "k1"), (0.3, "paper"), (0.3, "reference")]
)
def test_is_that_of_the_expected_reward_however_it_is_cut(tiny_model, scales, kl, form):
    config = TrainConfig(prompts=3, group=4, kl=kl, kl_form=form, temperature=1.0)
    objective = Objective(tiny_model, direct(tiny_model.shapes, {}), config)
    groups = groups_of(tiny_model, scales, 4, kl, form)
    right = mx.grad(lambda s: expected(tiny_model, s, kl, form))(scales)
    for rows in (1, 2, 3, 8):
        found = objective.gradient(scales, groups, rows).arrays
        for path in scales:
            assert_close(found[path], np.array(right[path]))


@pytest.mark.parametrize(
    ("kl", "form"), [(0.0, "k2"), (0.3, "k2"), (0.3, "paper"), (0.3, "reference")]
)
def test_is_the_slope_by_finite_differences_in_float64(tiny_model, scales, kl, form):
    """Along a random direction, of the whole model written out in NumPy."""
    config = TrainConfig(prompts=3, group=8, kl=kl, kl_form=form)
    objective = Objective(tiny_model, direct(tiny_model.shapes, {}), config)
    groups = groups_of(tiny_model, scales, 8, kl, form)
    gradient = objective.gradient(scales, groups, 8).arrays
    direction = random_scales(tiny_model.shapes, seed=7, spread=1.0)
    slope = sum(float((gradient[path] * direction[path]).sum()) for path in scales)
    reference = NumpyLlama(tiny_model)
    wide, way = (
        {path: np.array(z, dtype=np.float64) for path, z in one.items()}
        for one in (scales, direction)
    )
    ahead, behind = (
        expected_in_numpy(reference, {p: z + h * way[p] for p, z in wide.items()}, kl, form)
        for h in (1e-5, -1e-5)
    )
    assert (ahead - behind) / 2e-5 == pytest.approx(slope, rel=1e-4)


def expected_in_numpy(reference, scales, kl, form):
    total, ones = 0.0, {path: np.ones_like(z) for path, z in scales.items()}
    for prompt, options, rewards in zip(PROMPTS, OPTIONS, REWARDS, strict=True):
        log, base = (
            log_softmax(np.array([mean_logprob(reference, prompt, o, z) for o in options]))
            for z in (scales, ones)
        )
        one, other = (base, log) if form == "reference" else (log, base)
        total += kl * np.exp(one) @ (one - other) - np.exp(log) @ np.array(rewards)
    return total / len(PROMPTS)


def mean_logprob(reference, prompt, option, scales):
    logits = reference.logits([*prompt, *option], scales)[len(prompt) - 1 : -1]
    logs = [log_softmax(row)[token] for row, token in zip(logits, option, strict=True)]
    return np.mean(logs)


def log_softmax(x):
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


def test_the_model_written_out_in_numpy_is_the_model(tiny_model, scales):
    wide = {path: np.array(z, dtype=np.float64) for path, z in scales.items()}
    tokens = [5, 6, 7, 8, 3, 4, 2]
    with tiny_model.using(scales):
        logits = tiny_model.network(mx.array([tokens]))[0]
    assert_close(logits, NumpyLlama(tiny_model).logits(tokens, wide), 1e-5)


@pytest.mark.parametrize("is_forward", [True, False])
@pytest.mark.parametrize("kl", [0.0, 0.7])
def test_advantages_are_the_derivatives_by_the_scores(kl, is_forward):
    """In float64, by central differences."""
    rng = np.random.default_rng(0)
    scores, base, rewards = rng.normal(size=(3, 5))

    def value(x):
        log, b = log_softmax(x), log_softmax(base)
        one, other = (log, b) if is_forward else (b, log)
        return np.exp(log) @ rewards - kl * (np.exp(one) @ (one - other))

    found = of_options(
        list(rewards),
        list(log_softmax(scores)),
        list(log_softmax(base)) if kl else None,
        kl,
        is_forward,
    )
    steps = 1e-6 * np.eye(5)
    slopes = [(value(scores + step) - value(scores - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(found, slopes, atol=1e-8)
