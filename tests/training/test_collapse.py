from dataclasses import replace

import pytest

from mlx_t2.training.collapse import Signs, advise

THIRDS = {"first": 3, "second": 3, "third": 3}
HEALTHY = Signs({"first": 30, "second": 22, "third": 20}, THIRDS, 9, 5, 0.5)


def test_a_healthy_run_gets_no_advise():
    assert advise([HEALTHY] * 3) is None


def test_a_constant_answer_is_a_collapse_that_is_named_with_what_to_change():
    collapsed = Signs({"first": 70, "second": 2}, THIRDS, 9, 1, 1 / 3)
    assert "97% of the last 3 steps' completions chose 'first'" in advise([collapsed] * 3)
    assert "--lr" in advise([collapsed] * 3)


def test_one_odd_step_is_no_collapse():
    collapsed = Signs({"first": 72}, THIRDS, 9, 0, 1 / 3)
    assert advise([collapsed]) is None
    assert advise([HEALTHY, HEALTHY, collapsed]) is None


def test_a_constant_answer_that_is_always_right_is_no_collapse():
    constant = Signs({"yes": 72}, {"yes": 9}, 9, 0, 1.0)
    assert advise([constant] * 3) is None


def test_problems_too_hard_are_told_apart_from_completions_that_agree():
    hard = replace(HEALTHY, signal_groups=0, reward=0.01)
    stuck = replace(HEALTHY, signal_groups=1, reward=0.5)
    done = replace(HEALTHY, signal_groups=0, reward=0.95)
    assert advise([hard] * 3).startswith("too hard")
    assert advise([stuck] * 3).startswith("no signal")
    assert advise([done] * 3) is None


def test_entropy_and_the_commonest_choice_by_hand():
    signs = Signs({"a": 2, "b": 2}, {}, 1, 1, 0.0)
    assert signs.entropy == pytest.approx(0.6931, abs=1e-4)
    assert signs.commonest == ("a", 0.5)
    assert Signs({"a": 4}, {}, 1, 1, 0.0).entropy == 0
