"""A recipe's training is done once, and under the settings that it has now."""

from dataclasses import replace

import pytest
from toy_task import CONFIG, StartHigh, toy_model

from mlx_t2.errors import CheckpointError
from mlx_t2.recipes.once import read_commit, train_once

SHORT = replace(CONFIG, steps=2, eval_every=1)


def unwanted():
    raise AssertionError("a finished training loads no model")


def test_what_is_finished_is_read(tmp_path):
    made = train_once(tmp_path / "run", toy_model, StartHigh(), SHORT)
    again = train_once(tmp_path / "run", unwanted, StartHigh(), SHORT)
    assert again.metrics == made.metrics
    assert again.metrics["steps"] == 2
    assert read_commit(tmp_path / "run")


def test_more_steps_are_gone_on_with_and_other_settings_are_refused(tmp_path):
    train_once(tmp_path / "run", toy_model, StartHigh(), SHORT)
    longer = train_once(tmp_path / "run", toy_model, StartHigh(), replace(SHORT, steps=3))
    assert longer.metrics["steps"] == 3
    with pytest.raises(CheckpointError, match="another lr"):
        train_once(tmp_path / "run", unwanted, StartHigh(), replace(SHORT, steps=3, lr=9.0))
