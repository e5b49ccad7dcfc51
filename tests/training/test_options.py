"""Training over options: a policy that is scored, not sampled."""

import json
from dataclasses import asdict, replace

import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close, random_scales
from option_task import CONFIG, PickZ
from toy_task import files

from mlx_t2.experts import Expert
from mlx_t2.sampling import SamplingConfig, enumerate_rollouts, weigh
from mlx_t2.training import TrainConfig, plan_training, train
from mlx_t2.training.advantages import divergence_of_options, of_options
from mlx_t2.training.gradient import AdvantageGroup, Objective, cut_into_parts
from mlx_t2.training.learner import Learner, parametrise
from mlx_t2.training.ranks import Ranks
from mlx_t2.training.row_limits import RowLimits, find_largest
from mlx_t2.training.step_report import GradedGroup, describe_group, find_signs

KEPT = "rewards", "completions", "probabilities", "is_right"


def learner_of(model, task, config):
    objective = Objective(model, parametrise(model, config, {}), config)
    return Learner(model, task, config, Ranks(), objective, RowLimits(8, 64))


def state_of(model, scales):
    from mlx_t2.training.checkpoint import State

    return State(0, scales, {}, scales, 0.0, 0.0)


@pytest.mark.whole_runs
def test_a_tiny_model_learns_to_choose(tiny_model, tmp_path):
    config = replace(CONFIG, steps=24, eval_every=24)
    steps = list(train(tiny_model, PickZ(), config, tmp_path / "run"))
    metrics = Expert.load(tmp_path / "run" / "expert.safetensors").metrics
    assert metrics["final_accuracy"] >= metrics["base_accuracy"] + 0.3
    assert steps[-1].reward > steps[0].reward + 0.3
    assert steps[0].signal_groups == steps[0].groups == 6
    assert not any(step.truncated for step in steps)


@pytest.mark.whole_runs
def test_samples_hold_every_option_with_its_probability(tiny_model, tmp_path):
    (step, *_) = train(tiny_model, PickZ(), replace(CONFIG, steps=1), tmp_path / "run")
    lines = [json.loads(x) for x in (tmp_path / "run/samples.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    for line, problem in zip(lines, PickZ().step(6, 1), strict=True):
        assert tuple(line["completions"]) == problem.options
        assert sum(line["probabilities"]) == pytest.approx(1)
        assert line["rewards"] == [float("z" in text) for text in line["completions"]]
    expected = np.mean([np.dot(line["probabilities"], line["rewards"]) for line in lines])
    assert step.reward == pytest.approx(expected)
    assert step.kl == 0  # before the first update it is the base model
    assert step.example["probabilities"]


@pytest.mark.whole_runs
@pytest.mark.parametrize("free", [0, 3])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(tiny_model, tmp_path, free):
    task, config = PickZ(free=free), replace(CONFIG, kl=0.01)
    list(train(tiny_model, task, config, tmp_path / "whole"))
    running = train(tiny_model, task, config, tmp_path / "stopped")
    for _ in range(4):
        next(running)
    running.close()
    list(train(tiny_model, task, config, tmp_path / "stopped", resume=True))
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


@pytest.mark.whole_runs
def test_a_strong_penalty_keeps_the_policy_at_the_base(tiny_model, tmp_path):
    config = replace(CONFIG, steps=8, eval_every=8)
    free = list(train(tiny_model, PickZ(), config, tmp_path / "free"))
    for form in ("k2", "k1", "paper", "reference"):
        held = replace(config, kl=3.0, kl_form=form)
        near = list(train(tiny_model, PickZ(), held, tmp_path / form))
        assert 0 <= near[-1].kl < 0.3 * free[-1].kl, form


@pytest.mark.parametrize("mode", ["rloo", "reinforce", "paper"])
def test_a_baseline_makes_no_difference_and_paper_rewards_are_worth_twice(tiny_model, mode):
    config = replace(CONFIG, mode=mode, prompts=5, temperature=0.0 if mode == "paper" else 1.0)
    scales = random_scales(tiny_model.shapes, spread=0.1)
    learner = learner_of(tiny_model, PickZ(), config)
    state = state_of(tiny_model, scales)
    groups = learner.assign_advantages(state, learner.sample(state))
    for group, rollout in zip(groups, learner.sample(state), strict=True):
        exact = of_options(rollout.rewards, [float(np.log(p)) for p in weigh(rollout.scores)])
        size = config.group * (2 if mode == "paper" else 1)
        np.testing.assert_allclose(group.advantages, size * np.array(exact), atol=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_at_another_temperature_it_is_the_gradient_of_that_policy(tiny_model, temperature):
    """By finite differences along the gradient."""
    config = replace(CONFIG, prompts=4, temperature=temperature)
    task, scales = PickZ(), random_scales(tiny_model.shapes, spread=0.1)
    learner, state = learner_of(tiny_model, task, config), state_of(tiny_model, scales)
    sampled = learner.sample(state)
    groups = learner.assign_advantages(state, sampled)
    gradient = learner.objective.gradient(scales, groups, 12).arrays
    norm = float(mx.sqrt(sum(mx.sum(g * g) for g in gradient.values())))

    def expected(length):
        moved = {path: z + length / norm * gradient[path] for path, z in scales.items()}
        problems = [rollout.problem for rollout in sampled]
        with tiny_model.using(moved):
            done = enumerate_rollouts(tiny_model, task, problems, 1, SamplingConfig())
        return -np.mean([np.dot(weigh(r.scores, temperature), r.rewards) for r in done])

    slope = (expected(1e-2) - expected(-1e-2)) / 2e-2
    assert slope == pytest.approx(norm, rel=2e-2)


def test_in_a_mixed_step_a_problem_counts_the_same_with_and_without_options(tiny_model):
    """Each problem alone, times its share of the step, is its part of the gradient."""
    config, task = replace(CONFIG, prompts=6), PickZ(free=2)
    scales = random_scales(tiny_model.shapes, spread=0.1)
    learner, state = learner_of(tiny_model, task, config), state_of(tiny_model, scales)
    sampled = learner.sample(state)
    groups = learner.assign_advantages(state, sampled)
    assert [group.is_choice for group in groups] == [bool(r.scores) for r in sampled]
    assert [len(r.completions) for r in sampled] == [8, 3] * 3
    whole = learner.objective.gradient(scales, groups, 12).arrays
    parts = [learner.objective.gradient(scales, [group], 12).arrays for group in groups]
    for path in scales:
        assert_close(whole[path], np.array(sum(part[path] for part in parts)), 1e-4)


# Advantages


def test_rewards_that_agree_give_exactly_nothing():
    policy = [np.log(0.1), np.log(0.3), np.log(0.6)]
    assert of_options([0.1] * 3, policy) == [0.0] * 3


def test_a_certain_policy_has_no_signal_left():
    assert of_options([1.0, 0.0], [0.0, -900.0]) == [0.0, 0.0]


def test_advantages_sum_to_zero_and_the_divergence_is_none_at_the_base():
    policy = [np.log(0.2), np.log(0.3), np.log(0.5)]
    base = [np.log(0.4), np.log(0.4), np.log(0.2)]
    for is_forward in (True, False):
        found = of_options([1.0, 0.0, 0.25], policy, base, 0.3, is_forward)
        assert sum(found) == pytest.approx(0, abs=1e-12)
        same = of_options([0.0] * 3, policy, policy, 0.3, is_forward)
        np.testing.assert_allclose(same, 0, atol=1e-12)
    assert divergence_of_options(policy, policy) == 0
    assert divergence_of_options(policy, base) > 0


def test_options_and_drawn_completions_are_never_in_one_part():
    drawn = AdvantageGroup((5, 6), ((1,), (2, 3)), (1.0, -1.0))
    chosen = replace(drawn, prompt=(5, 7, 8), is_choice=True)
    groups = [drawn, chosen, drawn, chosen]
    for rows in range(1, 9):
        parts = list(cut_into_parts(groups, rows))
        assert all(len({group.is_choice for group in part}) == 1 for part in parts)
        assert all(sum(len(g.completions) for g in part) <= rows for part in parts)
        assert sum(len(g.completions) for part in parts for g in part) == 8


# Plans and reports


def test_memory_is_planned_for_the_options_not_for_the_limit(tiny_model):
    config = TrainConfig(prompts=6, group=8, test=0, validation=6)
    largest = find_largest(tiny_model, PickZ(max_tokens=500), config)
    assert (largest.group, largest.completion, largest.scored) == (3, 6, 6)
    mixed = find_largest(tiny_model, PickZ(max_tokens=500, free=2), config)
    assert (mixed.group, mixed.completion) == (8, 500)


@pytest.mark.parametrize(("free", "completions"), [(0, 18), (2, 33)])
def test_a_dry_run_counts_options(tiny_model, free, completions):
    plan = plan_training(tiny_model, PickZ(free=free), replace(CONFIG, steps=2))
    assert plan.completions == completions
    assert 0 < plan.step_seconds < plan.total_seconds


def group_of(**changes):
    same = {
        "problem": "p",
        "question": "q",
        "answer": "a",
        "completions": ["a", "b"],
        "finished": [True, True],
        "rewards": [1.0, 0.0],
        "is_right": [True, False],
        "has_signal": True,
        "tokens": 2,
        "choices": ["a", "b"],
        "wanted": "a",
    }
    return GradedGroup(**same | changes)


def test_signs_weigh_options_by_their_probability():
    signs = find_signs([group_of(probabilities=[0.9, 0.1])] * 2)
    assert signs.reward == pytest.approx(0.9)
    assert signs.commonest == ("a", pytest.approx(0.9))
    drawn = find_signs([group_of()] * 2)
    assert (drawn.reward, drawn.choices) == (0.5, {"a": 2, "b": 2})
    assert all(type(count) is int for count in drawn.choices.values())


def test_a_line_has_probabilities_only_where_options_were_scored(tiny_model):
    assert "probabilities" not in group_of().line(1)
    assert group_of(probabilities=[0.5, 0.5]).line(1)["probabilities"] == [0.5, 0.5]
    problems = PickZ().problems("test", 1)
    (rollout,) = enumerate_rollouts(tiny_model, PickZ(), problems, 1, SamplingConfig())
    bare = AdvantageGroup(rollout.prompt, tuple(c.tokens for c in rollout.completions), (0.0,))
    described = describe_group(PickZ(), rollout, bare, temperature=2.0)
    assert described.probabilities == weigh(rollout.scores, 2.0)
    assert GradedGroup(**asdict(described)) == described
