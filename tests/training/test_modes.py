"""The first update of every mode, against the formulas written out row by row."""

import dataclasses
import json
import math

import mlx.core as mx
import pytest
from helpers import assert_close
from toy_task import CONFIG, StartHigh

from mlx_t2.training import read_config, train
from mlx_t2.training.checkpoint import load_state
from mlx_t2.training.parametrisation import direct, sigmoid

pytestmark = pytest.mark.whole_runs

LR = 1e-3


def first_step(model, out, **settings):
    """The groups that were sampled, and the parameters after one step."""
    config = dataclasses.replace(CONFIG, steps=1, test=0, lr=LR, eval_every=9, **settings)
    next(train(model, StartHigh(), config, out))
    groups = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    return groups, load_state(out / "checkpoint" / "step-000001.safetensors").parameters


def prompt_of(model, group):
    return model.encode([{"role": "user", "content": group["question"]}])


def naive(model, groups, advantages, scales_of):
    """−(1/S) Σ A log π by a plain forward pass per completion; toy texts are token ids."""

    def loss(parameters):
        total, count = mx.array(0.0), 0
        with model.using(scales_of(parameters)):
            for group, of_group in zip(groups, advantages, strict=True):
                prompt = prompt_of(model, group)
                for text, advantage in zip(group["completions"], of_group, strict=True):
                    tokens = [int(token) for token in text.split()]
                    logits = model.network(mx.array([[*prompt, *tokens]]))[0]
                    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
                    at = mx.arange(len(prompt) - 1, len(prompt) + len(tokens) - 1)
                    total = total - advantage * logprobs[at, mx.array(tokens)].sum()
                    count += 1
        return total / count

    return mx.grad(loss)


def stepped(start, gradient, decay=0.0):
    """Adam's first step with bias correction: lr · g / (|g| + ε), after the weight decay."""
    return {
        k: start[k] * (1 - LR * decay) - LR * g / (mx.abs(g) + 1e-8)
        for k, g in gradient.items()
    }


def assert_stepped(got, expected, gradient):
    """Where the gradient is nearly nothing its sign is rounding: those entries are left out."""
    for path, z in expected.items():
        clear = mx.abs(gradient[path]) > 1e-5
        assert clear.sum().item() > 0.9 * clear.size
        assert_close(mx.where(clear, got[path], 0), mx.where(clear, z, 0))


def rewards(groups):
    return [group["rewards"] for group in groups]


def by_hand(mode, groups):
    if mode == "rloo":
        return [[r - (sum(g) - r) / (len(g) - 1) for r in g] for g in rewards(groups)]
    if mode == "reinforce":
        flat = [r for g in rewards(groups) for r in g]
        return [[r - sum(flat) / len(flat) for r in g] for g in rewards(groups)]
    return [[1.0 if r else -1.0 for r in g] for g in rewards(groups)]


@pytest.mark.parametrize("mode", ["rloo", "reinforce", "paper"])
def test_the_first_update_by_hand(model, tmp_path, mode):
    groups, got = first_step(model, tmp_path / "run", mode=mode)
    start = direct(model.shapes, {}).initial
    gradient = naive(model, groups, by_hand(mode, groups), lambda p: p)(start)
    assert_stepped(got, stepped(start, gradient), gradient)


def test_the_papers_first_update_to_the_letter(model, tmp_path):
    """Greedy, ±1, sigmoid and renormalisation, clipped to 1e-3, AdamW."""
    settings = {"parametrisation": "sigmoid", "optimizer": "adamw", "clip": 1e-3}
    groups, got = first_step(
        model, tmp_path / "run", mode="paper", temperature=0.0, group=1, prompts=16, **settings
    )
    trained = sigmoid(model.singular_values, 0)
    gradient = naive(model, groups, by_hand("paper", groups), trained.scales)(trained.initial)
    norm = math.sqrt(sum((g * g).sum().item() for g in gradient.values()))
    clipped = {k: g * min(1.0, 1e-3 / (norm + 1e-6)) for k, g in gradient.items()}
    assert norm > 1e-3
    expected = stepped(trained.initial, clipped, decay=0.01)
    for path, p in expected.items():
        clear = mx.abs(clipped[path]) > 1e-6
        assert_close(mx.where(clear, got[path], 0), mx.where(clear, p, 0), 1e-4)


def test_greedy_completions_of_a_problem_are_one_and_the_same(model, tmp_path):
    groups, _ = first_step(model, tmp_path / "run", mode="paper", temperature=0.0, group=3)
    assert all(len(set(group["completions"])) == 1 for group in groups)


def test_masked_truncations_are_in_no_baseline_and_no_gradient(model, tmp_path):
    settings = {"truncated": "masked", "group": 8}
    groups, got = first_step(model, tmp_path / "run", **settings)
    assert any(not f for group in groups for f in group["finished"])
    advantages = []
    for group in groups:
        counted = [r for r, f in zip(group["rewards"], group["finished"], strict=True) if f]
        advantages.append(
            [
                (r - (sum(counted) - r) / (len(counted) - 1)) if f and len(counted) > 1 else 0.0
                for r, f in zip(group["rewards"], group["finished"], strict=True)
            ]
        )
    start = direct(model.shapes, {}).initial
    gradient = naive(model, groups, advantages, lambda p: p)(start)
    assert_stepped(got, stepped(start, gradient), gradient)


def test_the_overlong_penalty_reaches_the_advantages(model, tmp_path):
    groups, got = first_step(model, tmp_path / "run", overlong=4)
    shaped = [
        [r - max(0, len(t.split()) - 2) / 4 for r, t in zip(*pair, strict=True)]
        for pair in ((g["rewards"], g["completions"]) for g in groups)
    ]
    advantages = [[r - (sum(g) - r) / (len(g) - 1) for r in g] for g in shaped]
    start = direct(model.shapes, {}).initial
    gradient = naive(model, groups, advantages, lambda p: p)(start)
    assert_stepped(got, stepped(start, gradient), gradient)


def test_the_papers_preset_gives_way_to_flags():
    config = read_config({"mode": "paper", "group": 4, "temperature": 1.0})
    assert (config.group, config.temperature, config.clip) == (4, 1.0, 1e-3)
    assert (config.parametrisation, config.optimizer, config.prompts) == (
        "sigmoid",
        "adamw",
        256,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "paper", "lr": 3e-2},
        *(
            pytest.param(slow, marks=pytest.mark.slow)
            for slow in (
                {"mode": "reinforce", "group": 1, "prompts": 64},
                {"parametrisation": "bands", "bands": 4},
            )
        ),
    ],
)
def test_other_modes_learn_too(model, tmp_path, settings):
    settings = {"prompts": 8, "lr": 6e-2} | settings
    config = dataclasses.replace(
        CONFIG, steps=60, eval_every=60, validation=4, test=0, **settings
    )
    rewards = [r.reward for r in train(model, StartHigh(), config, tmp_path / "run")]
    assert sum(rewards[-15:]) / 15 > sum(rewards[:5]) / 5 + 0.08


def test_patience_stops_a_run_that_no_longer_improves(model, tmp_path):
    config = dataclasses.replace(CONFIG, steps=40, eval_every=1, patience=2)
    reports = list(train(model, StartHigh(pays=False), config, tmp_path / "run"))
    assert len(reports) == 2
    assert (tmp_path / "run" / "expert.safetensors").exists()
