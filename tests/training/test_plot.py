import mlx.core as mx
import pytest
from toy_task import CONFIG, StartHigh

from mlx_t2.errors import ConfigError
from mlx_t2.training import plot_run, train
from mlx_t2.training.plot import measure_changes


def test_changes_by_hand():
    scales = {
        "layers.1.up": mx.array([1.0, 1.5]),
        "layers.0.up": mx.array([2.0, 1.0]),
        "layers.0.down": mx.array([[1.0, 1.0], [0.5, 1.0]]),
    }
    by_layer, by_index = measure_changes(scales)
    assert by_layer == {"up": [(1, 0.25), (0, 0.5)], "down": [(0, 0.125)]}
    assert by_index == {"up": [0.5, 0.25], "down": [0.25, 0.0]}


def test_ranks_that_differ_are_not_averaged_with_one_another():
    scales = {"layers.0.up": mx.ones((2,)), "layers.1.up": 1 + mx.ones((3,))}
    assert measure_changes(scales)[1] == {"up": [1.0, 1.0, 1.0]}


def test_a_run_is_drawn(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    path = plot_run(tmp_path / "run")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_steps_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError, match=r"no metrics\.jsonl with steps in it"):
        plot_run(tmp_path)
