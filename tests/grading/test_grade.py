"""Grades: one meaning of right, and a reason for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import RIGHT, Grade, cut_off, grade_text, wrong

REWARDS = st.floats(-1, 1)


@given(st.text(), st.text())
def test_a_text_is_right_where_it_is_the_answer_and_nowhere_else(got, expected):
    grade = grade_text(got, expected)
    assert grade.is_right == (got == expected)
    assert grade.reward == float(grade.is_right)
    assert (grade.reason == "right") == grade.is_right
    assert len(grade.reason) < 120


def test_the_reason_names_both_texts():
    assert grade_text("84", "84") == RIGHT == Grade(1.0, True, "right")
    assert grade_text("37", "84") == wrong("got '37', expected '84'")


def test_a_long_text_is_shortened_in_the_reason():
    assert grade_text("x" * 99, "84").reason == f"got '{'x' * 38}…, expected '84'"


@given(st.integers(1, 10_000), REWARDS)
def test_a_completion_that_was_cut_off_is_never_right(tokens, worst):
    grade = cut_off(tokens, worst)
    assert grade == Grade(worst, False, f"cut off at {tokens} tokens")


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), -float("inf")])
def test_a_reward_has_to_be_finite(reward):
    with pytest.raises(TaskDataError, match=r"got reward -?(nan|inf) \(float\), expected"):
        Grade(reward, False, "broken")
