"""Training what acts on the answer alone, from the settings to the expert's file."""

import dataclasses
import json
from statistics import median

import mlx.core as mx
import pytest
from helpers import random_scales, tiny_network
from toy_task import CONFIG, HalfTheTokensEnd, StartHigh, files

from mlx_t2.errors import CheckpointError
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel, decompose
from mlx_t2.reading import BaseReadings
from mlx_t2.sampling import count_right
from mlx_t2.training import train
from mlx_t2.training.gradient import AdvantageGroup, Objective
from mlx_t2.training.parametrisation import direct
from mlx_t2.training.phase import finish
from mlx_t2.training.row_limits import Costs, measure_costs

ANSWER = dataclasses.replace(CONFIG, acts_on="answer")


@pytest.mark.whole_runs
def test_it_learns_and_the_expert_says_what_it_acts_on(model, tmp_path):
    reports = list(train(model, StartHigh(), ANSWER, tmp_path / "run"))
    assert reports[-1].reward > reports[0].reward
    expert = Expert.load(tmp_path / "run" / "expert.safetensors")
    assert expert.acts_on == "answer"
    with model.using(expert.scales, acts_on="answer"):
        right = count_right(model, StartHigh(), StartHigh().problems("validation", 8))
    assert right / 8 == max(r.validation for r in reports if r.validation is not None)


@pytest.mark.whole_runs
def test_a_stopped_run_goes_on_to_the_same_bytes_and_the_other_kind_is_another_run(
    model, tmp_path
):
    list(train(model, StartHigh(), ANSWER, tmp_path / "whole"))
    stopped = train(model, StartHigh(), ANSWER, tmp_path / "run")
    next(stopped)
    next(stopped)
    stopped.close()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["acts_on"] == "answer"
    with pytest.raises(CheckpointError, match=r"acts_on='all' \(it has 'answer'\)"):
        next(train(model, StartHigh(), CONFIG, tmp_path / "run", resume=True))
    list(train(model, StartHigh(), ANSWER, tmp_path / "run", resume=True))
    assert files(tmp_path / "run") == files(tmp_path / "whole")


@pytest.mark.whole_runs
@pytest.mark.parametrize("kl", [0.0, 0.1])
def test_a_step_reads_each_prompt_once_and_then_forgets_it(model, tmp_path, monkeypatch, kl):
    read, readings, add = [], [], BaseReadings._add

    def watch(self, new):
        new = list(new)
        readings.append(self)
        read.extend(
            prompt for prompt in new if set(prompt) != {1}
        )  # what memory is measured on
        add(self, new)

    monkeypatch.setattr(BaseReadings, "_add", watch)
    config = dataclasses.replace(ANSWER, steps=2, eval_every=1, kl=kl)
    for report in train(model, StartHigh(), config, tmp_path / "run"):
        problems = StartHigh().step(config.prompts, report.step)
        asked = {tuple(model.encode(problem.messages)) for problem in problems}
        assert report.signal_groups
        assert len(read) == len(set(read)) <= len(asked)
        assert [one._places for one in readings] == [{}] * len(readings)
        read.clear()


def deep_model() -> SVFModel:
    return decompose(SVFModel("deep", tiny_network(layers=6, hidden=128), HalfTheTokensEnd()))


def measure_peak(objective, scales, problems: int, copies: int, prompt: int) -> int:
    """The most memory of a gradient pass over completions of 6 tokens [bytes]; the least of
    three passes, since beside other programs what is done with is freed later.
    """
    groups = [
        AdvantageGroup((33 + k,) * prompt, ((40,) * 6,) * copies, (1.0,) * copies)
        for k in range(problems)
    ]
    mx.eval(scales, objective.gradient(scales, groups, problems * copies).arrays)
    peaks = []
    for _ in range(3):
        objective.readings.clear()
        mx.clear_cache()
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        objective.gradient(scales, groups, problems * copies)
        peaks.append(mx.get_peak_memory() - before)
    return min(peaks)


def test_what_the_prompt_computes_is_not_kept_for_the_gradient():
    model = deep_model()
    scales = random_scales(model.shapes, spread=0.1)
    answer, everything = (
        measure_peak(Objective(model, direct(model.shapes, {}), config), scales, 1, 4, 128)
        for config in (ANSWER, CONFIG)
    )
    assert answer < everything / 2


def measure_costs_thrice(model, objective, scales) -> Costs:
    """The median of each part: beside a model this small the buffers of operations that are
    under way count for much, and beside other programs they are more.
    """
    each = [finish(measure_costs(model, objective, scales)) for _ in range(3)]
    return Costs(*map(median, zip(*map(dataclasses.astuple, each), strict=True)))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_pass_behind_long_prompts_stays_below_what_is_planned_for_it(checkpointing):
    model = deep_model()
    config = dataclasses.replace(ANSWER, checkpointing=checkpointing)
    objective = Objective(model, direct(model.shapes, {}), config)
    scales = random_scales(model.shapes, spread=0.1)
    costs = measure_costs_thrice(model, objective, scales)
    for problems, copies, prompt in ((1, 1, 128), (4, 4, 128), (1, 1, 192), (4, 8, 32)):
        peak = measure_peak(objective, scales, problems, copies, prompt)
        assert peak < costs.pass_bytes(problems * copies, copies, prompt, 6) < 2 * peak
