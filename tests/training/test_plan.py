import dataclasses
from dataclasses import dataclass

import mlx.core as mx
import pytest
from toy_task import CONFIG, StartHigh

from mlx_t2.errors import TrainingError
from mlx_t2.models import limited_memory, memory_bytes
from mlx_t2.sampling import count_right
from mlx_t2.training import Phase, plan_training, train
from mlx_t2.training.row_limits import Costs, RowLimits, smallest


def test_costs_by_hand():
    """Two groups of 4 that share prompts of 10 tokens, 5 tokens each, and a quarter on top."""
    costs = Costs(100, prompt_token=3, completion_token=7, copied_token=2, scores=0)
    assert costs.pass_bytes(8, 4, 10, 5) == 1.25 * (100 + 2 * 10 * 3 + 8 * (5 * 7 + 10 * 2))


def test_a_plan_fits_everything_where_there_is_room(model):
    found = plan_training(model, StartHigh(), CONFIG)
    assert found.rows == found.completions == CONFIG.prompts * CONFIG.group
    assert found.weights + found.bases + found.gradient < found.limit == memory_bytes()
    assert found.total_seconds > CONFIG.steps * found.step_seconds > 0
    assert model.worn == {}


def held_gb(model) -> float:
    mx.eval(model.network.parameters())
    return mx.get_active_memory() / 1e9


def test_less_memory_means_fewer_rows_and_the_estimate_holds(model):
    whole = plan_training(model, StartHigh(), CONFIG)
    room = held_gb(model) + 0.5 * whole.gradient / 1e9
    half = plan_training(model, StartHigh(), dataclasses.replace(CONFIG, memory_gb=room))
    assert half.rows < whole.rows
    assert half.rows % CONFIG.group == 0 or half.rows < CONFIG.group
    assert half.gradient <= 0.5 * whole.gradient


def test_a_step_stays_below_what_was_planned_for_it(model, tmp_path):
    planned = plan_training(model, StartHigh(), CONFIG).gradient
    before = held_gb(model)
    report = next(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    assert report.peak_gb - before < planned / 1e9


def test_what_cannot_fit_is_refused_before_there_is_a_folder(model, tmp_path):
    tight = dataclasses.replace(CONFIG, memory_gb=1e-6)
    with pytest.raises(
        TrainingError, match=r"memory: .* GB for the model and .* for 1 completion"
    ):
        plan_training(model, StartHigh(), tight)
    for rows in (None, 32):
        asked = dataclasses.replace(tight, rows=rows)
        with pytest.raises(TrainingError, match="memory: "):
            next(train(model, StartHigh(), asked, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_step_that_takes_too_much_stops_the_run_and_is_kept(model, tmp_path, monkeypatch):
    out = tmp_path / "run"
    running = train(model, StartHigh(), CONFIG, out)
    next(running)
    monkeypatch.setattr(mx, "get_peak_memory", lambda: 10**15)
    next(running)
    with pytest.raises(TrainingError, match=r"memory: step 2 took .* --resume and fewer rows"):
        next(running)
    monkeypatch.undo()
    fewer = dataclasses.replace(CONFIG, rows=8)
    assert next(train(model, StartHigh(), fewer, out, resume=True)).step == 3


def test_memory_that_mlx_does_not_get_is_one_clear_error(model, tmp_path, monkeypatch):
    running = train(model, StartHigh(), CONFIG, tmp_path / "run")
    next(running)

    def refused(*_: object):
        raise RuntimeError("[malloc] Unable to allocate 9 bytes")

    monkeypatch.setattr("mlx_t2.training.learner.enumerate_rollouts", refused)
    with pytest.raises(TrainingError, match=r"memory: MLX got none .* --resume"):
        next(running)


def test_more_rows_than_fit_are_refused(model, tmp_path):
    whole = plan_training(model, StartHigh(), CONFIG)
    room = held_gb(model) + 0.5 * whole.gradient / 1e9
    tight = dataclasses.replace(CONFIG, memory_gb=room, rows=32)
    with pytest.raises(TrainingError, match="for 32 completion"):
        next(train(model, StartHigh(), tight, tmp_path / "run"))


def test_no_more_held_out_problems_are_answered_at_a_time_than_are_decoded(
    model, tmp_path, monkeypatch
):
    batches = []

    def note(model, task, problems):
        batches.append(len(problems))
        return count_right(model, task, problems)

    monkeypatch.setattr("mlx_t2.training.run.count_right", note)

    def found(*_):
        yield Phase("measuring memory")
        return RowLimits(8, 3)

    monkeypatch.setattr("mlx_t2.training.run.find_row_limits", found)
    next(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    assert batches == [3, 3, 2]


@dataclass(frozen=True)
class LongerLater(StartHigh):
    """Prompts of the second half of a training are longer."""

    def step(self, n, seed, balanced=True, progress=0.0):
        return [
            self._problem(f"train {seed} {i}" + " again" * 20 * (progress > 0.5))
            for i in range(n)
        ]


def test_the_longest_prompt_of_a_training_is_planned_for(model):
    short, long = (
        plan_training(model, task, CONFIG).gradient for task in (StartHigh(), LongerLater())
    )
    assert long > 1.5 * short


def test_all_machines_do_what_the_smallest_can():
    assert smallest([RowLimits(64, 30), RowLimits(8, 72)]) == RowLimits(8, 30)


@pytest.mark.whole_runs
def test_fewer_rows_train_the_same_expert_up_to_rounding(model, tmp_path):
    from mlx_t2.experts import Expert

    for rows in (32, 8, 3):
        config = dataclasses.replace(CONFIG, steps=3, eval_every=3, rows=rows, lr=2e-3)
        list(train(model, StartHigh(), config, tmp_path / str(rows)))
    whole, *parts = (Expert.load(tmp_path / str(r) / "expert.safetensors") for r in (32, 8, 3))
    for part in parts:
        for path, z in whole.scales.items():
            assert mx.abs(z - part.scales[path]).max().item() < 1e-5


def test_limits_are_set_inside_and_given_back(monkeypatch):
    set_to: list[tuple[str, int]] = []

    def note(name, before):
        return lambda limit: set_to.append((name, limit)) or before

    device = {"max_recommended_working_set_size": 8000}
    monkeypatch.setattr(mx, "device_info", lambda: device)
    monkeypatch.setattr(mx, "set_wired_limit", note("wired", 11))
    monkeypatch.setattr(mx, "set_cache_limit", note("cache", 22))
    with limited_memory():
        assert set_to == [("wired", 8000), ("cache", 2000)]
    assert set_to[2:] == [("cache", 22), ("wired", 11)]


def test_a_gpu_of_its_own_memory_says_how_much_there_is(monkeypatch):
    monkeypatch.setattr(mx, "device_info", lambda: {"total_memory": 10_000})
    assert memory_bytes() == 8000
