"""What `t2 demo` leaves behind, and what it ends with."""

import pytest
from mlx_t2_cli import demo
from toy_task import CONFIG, StartHigh, toy_model

from mlx_t2.experts import Library

pytestmark = pytest.mark.whole_runs


def test_the_expert_of_the_demo_is_kept_and_replaced_by_the_next():
    for seed in (0, 1):
        live = demo._train_live(toy_model(), StartHigh(), 1, CONFIG.test, seed)
        assert live["expert"] == "demo-start-high"
        assert Library().find("demo-start-high").seed == seed


def test_it_ends_with_three_commands_that_go_on(capsys):
    demo._show_next("largest", "demo-largest")
    said = capsys.readouterr().out
    commands = [line.strip() for line in said.splitlines() if line.startswith("  t2 ")]
    assert len(commands) == 3
    assert commands[0].startswith("t2 generate '")
    assert commands[0].endswith("--expert demo-largest")
    assert "kept as demo-largest" in said
