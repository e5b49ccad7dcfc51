"""The gradient over options: that of the expected reward itself, in closed form."""

import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close, random_scales

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


@pytest.mark.parametrize("rows", [1, 2, 3, 8])
@pytest.mark.parametrize(
    ("kl", "form"), [(0.0, "k2"), (0.3, "k2"), (0.3, "k1"), (0.3, "paper"), (0.3, "reference")]
)
def test_is_that_of_the_expected_reward_however_it_is_cut(tiny_model, scales, kl, form, rows):
    config = TrainConfig(prompts=3, group=4, kl=kl, kl_form=form, temperature=1.0)
    objective = Objective(tiny_model, direct(tiny_model.shapes, {}), config)
    groups = groups_of(tiny_model, scales, 4, kl, form)
    found = objective.gradient(scales, groups, rows).arrays
    right = mx.grad(lambda s: expected(tiny_model, s, kl, form))(scales)
    for path in scales:
        assert_close(found[path], np.array(right[path]))
