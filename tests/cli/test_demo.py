"""What the demo shows of its measurements, and what it leaves behind; README's block runs the
whole of it.
"""

import pytest
from mlx_t2_cli import demo
from mlx_t2_cli.demo import DOMAINS, _show_adaptive, _show_public
from toy_task import CONFIG, StartHigh, toy_model

from mlx_t2.experts import Library

pytestmark = pytest.mark.whole_runs

SHARE = {"accuracy": 0.975, "interval": (0.94, 0.99)}
ROUTE = "classifier: expression (1.00), first pass 637 ms, first token after 2443 ms, 5 tokens"


def test_no_line_of_it_is_broken_on_a_terminal_of_80_columns(capsys):
    question = {
        "question": "the string subject repeated 8 times",
        "expected": "subject * 8",
        "before": "subjects",
        "after": "subject * 8",
        "route": ROUTE,
        "label": "expression",
    }
    domains = [
        {"domain": name, "n": 200, "base": SHARE, "expert": SHARE, "adaptive": SHARE}
        | {"chosen": {name: 200}}
        for name in DOMAINS
    ]
    _show_adaptive({"domains": domains, "questions": [question]})
    _show_public({"task": "arc-easy", "n": 100, "base": SHARE, "expert": SHARE, "source": "x"})
    lines = capsys.readouterr().out.splitlines()
    assert "            classifier: expression (1.00), first pass 637 ms" in lines
    assert "accuracy, 200 bare questions each (95 % interval)" in lines
    assert "arc-easy, 100 test problems never seen (95 % interval)" in lines


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
