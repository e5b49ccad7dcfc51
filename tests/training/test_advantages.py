import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_t2.training.advantages import (
    against_batch,
    by_group,
    leave_one_out,
    overlong_penalty,
    without_baseline,
)

REWARDS = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=16)


def test_leave_one_out_by_hand():
    assert leave_one_out([1, 0, 0]) == [1.0, -0.5, -0.5]
    assert leave_one_out([1, 1, 0, 0]) == pytest.approx([2 / 3, 2 / 3, -2 / 3, -2 / 3])


def test_a_masked_completion_has_no_advantage_and_is_in_no_baseline():
    assert leave_one_out([1, None, 0]) == [1.0, 0.0, -1.0]
    assert leave_one_out([1, None]) == [0.0, 0.0]
    assert against_batch([[1, None], [0, 0]]) == [
        pytest.approx([2 / 3, 0]),
        pytest.approx([-1 / 3, -1 / 3]),
    ]
    assert without_baseline([[1, None, 0.5]]) == [[1, 0.0, 0.5]]


@given(REWARDS, st.sampled_from([-2.0, 0.5, 8.0]))
def test_shifting_all_rewards_changes_no_advantage(rewards, shift):
    shifted = [r + shift for r in rewards]
    assert leave_one_out(shifted) == pytest.approx(leave_one_out(rewards))
    assert against_batch([shifted]) == [pytest.approx(a) for a in against_batch([rewards])]


@given(st.floats(0, 1), st.integers(2, 16))
def test_a_group_that_agrees_has_no_advantage_at_all(reward, size):
    assert leave_one_out([reward] * size) == [0.0] * size
    assert against_batch([[reward] * size] * 2) == [[0.0] * size] * 2


@given(st.lists(REWARDS, min_size=1, max_size=5))
def test_advantages_sum_to_nothing(groups):
    assert [sum(a) for a in by_group(groups)] == pytest.approx([0] * len(groups), abs=1e-9)
    assert sum(map(sum, against_batch(groups))) == pytest.approx(0, abs=1e-9)


def test_the_batch_baseline_by_hand():
    assert against_batch([[1, 0], [0, 0]]) == [[0.75, -0.25], [-0.25, -0.25]]


def test_the_overlong_penalty_rises_over_the_buffer():
    assert [overlong_penalty(n, 10, 4) for n in (5, 6, 7, 8, 10)] == [0, 0, -0.25, -0.5, -1]
    assert overlong_penalty(10, 10, 0) == 0
