"""What a training says while it works."""

from itertools import groupby

import pytest
from toy_task import CONFIG, StartHigh, files

from mlx_t2.training import Phase, StepReport, train, watch_planning, watch_training

pytestmark = pytest.mark.whole_runs


def names(events) -> list[str]:
    """Phases and steps in turn, each once."""
    said = (e.name if isinstance(e, Phase) else f"step {e.step}" for e in events)
    return [name for name, _ in groupby(said)]


def test_every_part_of_the_work_is_named(model, tmp_path):
    found = names(watch_training(model, StartHigh(), CONFIG, tmp_path / "run"))
    assert found[:5] == [
        "measuring memory",
        "probing for a signal",
        "validation before",
        "sampling",
        "gradient",
    ]
    at = found.index("step 2")
    assert found[at - 3 : at] == ["sampling", "gradient", "validation"]
    assert found[-3:] == ["step 6", "test before", "test after"]


def test_problems_are_counted_to_the_last_one(model, tmp_path, monkeypatch):
    monkeypatch.setattr("mlx_t2.training.run._ANSWERED", 3)
    events = list(watch_training(model, StartHigh(), CONFIG, tmp_path / "run"))
    done = [(e.done, e.total) for e in events if isinstance(e, Phase) and "test" in e.name]
    assert done == [(0, 8), (3, 8), (6, 8), (8, 8)] * 2


def test_who_watches_gets_the_same_run(model, tmp_path):
    reports = list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    events = list(watch_training(model, StartHigh(), CONFIG, tmp_path / "again" / "run"))
    assert [e.step for e in events if isinstance(e, StepReport)] == [r.step for r in reports]
    assert files(tmp_path / "run") == files(tmp_path / "again" / "run")


def test_a_plan_names_its_measurements(model):
    found = names(watch_planning(model, StartHigh(), CONFIG))
    assert found == ["measuring memory", "timing sampling", "timing the gradient"]
