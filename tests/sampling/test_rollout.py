"""Rollouts: every completion beside its own grade, and what being cut off earns."""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import count

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_task import StartHigh, toy_model

from mlx_t2.errors import SandboxError, TaskDataError
from mlx_t2.grading import RIGHT, Grade, cut_off
from mlx_t2.sampling import Completion, SamplingConfig, held_out_accuracy, rollouts
from mlx_t2.sampling.rollout import grade_completions


@dataclass(frozen=True)
class Told(StartHigh):
    """Grades a text by the number it is: that is the reward; right from 0 on."""

    def grade(self, attempts):
        return [Grade(float(text), float(text) >= 0, "a number") for _, text in attempts]


GRADED = st.lists(st.tuples(st.floats(-1, 1), st.booleans()), min_size=1, max_size=20)


@settings(deadline=None)
@given(GRADED)
def test_being_cut_off_is_never_right_and_never_beats_being_wrong(graded):
    """For any rewards in [-1, 1], whatever the text that was cut off would have earned."""
    task = Told(worst_reward=-1.0)
    problem = task.problems("train", 1)[0]
    completions = [Completion((1, 2), repr(reward), ended) for reward, ended in graded]
    grades = grade_completions(task, [(problem, completion) for completion in completions])
    cut = [g for g, (_, ended) in zip(grades, graded, strict=True) if not ended]
    whole = [g for g, (_, ended) in zip(grades, graded, strict=True) if ended]
    assert not any(grade.is_right for grade in cut)
    assert {grade.reason for grade in cut} <= {"cut off at 2 tokens"}
    assert all(c.reward <= w.reward for c in cut for w in whole)
    assert [w.reward for w in whole] == [reward for reward, ended in graded if ended]


def test_a_task_that_pays_less_than_its_worst_reward_is_refused():
    task = Told(worst_reward=-0.5)
    attempt = (task.problems("train", 1)[0], Completion((1,), "-0.75", True))
    with pytest.raises(
        TaskDataError, match=r"start-high: got reward -0.75 .* at least .* -0.5$"
    ):
        grade_completions(task, [attempt])


def test_every_completion_has_the_grade_of_its_own_text():
    """The grade of a rollout's text is found again by grading that text alone."""
    task, model = StartHigh(), toy_model()
    problems = task.step(5, 0)
    config = SamplingConfig(temperature=1, max_tokens=3, seed=1)
    done = rollouts(model, task, problems, 6, config)
    assert [rollout.problem for rollout in done] == problems
    for rollout in done:
        assert len(rollout.completions) == len(rollout.grades) == 6
        assert rollout.rewards == tuple(grade.reward for grade in rollout.grades)
        for completion, grade in zip(rollout.completions, rollout.grades, strict=True):
            (alone,) = task.grade([(rollout.problem, completion.text)])
            cut = cut_off(3, 0.0, alone)
            assert grade == (alone if completion.is_finished else cut)
    reasons = {grade.reason for rollout in done for grade in rollout.grades}
    assert reasons == {"right", "not high", "cut off at 3 tokens"}


def test_accuracy_counts_what_is_right_not_what_is_paid():
    @dataclass(frozen=True)
    class Paid(StartHigh):
        """Right is paid nothing, wrong a half."""

        def grade(self, attempts):
            return [
                replace(grade, reward=0.0 if grade.is_right else 0.5)
                for grade in super().grade(attempts)
            ]

    model, problems = toy_model(), StartHigh().problems("test", 40)
    accuracy = held_out_accuracy(model, StartHigh(), problems)
    assert 0 < accuracy < 1
    assert held_out_accuracy(model, Paid(), problems, batch=7) == accuracy


def test_a_grader_that_fails_gives_no_reward():
    @dataclass(frozen=True)
    class Broken(StartHigh):
        def grade(self, attempts):
            raise SandboxError("sandbox: gone")

    with pytest.raises(SandboxError, match="sandbox: gone"):
        rollouts(toy_model(), Broken(), Broken().step(2, 0), 2, SamplingConfig(max_tokens=3))


# What a task of other people's gives

TEXTS = ("1", "0", "1", "0")
REASON = "read as a number"


class Odd(Grade):
    """Checks nothing."""

    def __post_init__(self):
        pass


@dataclass(frozen=True)
class Given(StartHigh):
    """Gives for its completions what it is told to."""

    given: object = None

    def grade(self, attempts):
        return self.given(attempts) if callable(self.given) else self.given


def ask(given, worst=0.0):
    task = Given(given=given, worst_reward=worst)
    problem = task.problems("train", 1)[0]
    return grade_completions(task, [(problem, Completion((1,), text, True)) for text in TEXTS])


def paid(reward, is_right=True, kind=Grade):
    return lambda attempts: [RIGHT, *[kind(reward, is_right, REASON) for _ in attempts[1:]]]


@pytest.mark.whole_runs  # wrong kinds are meant
@pytest.mark.parametrize(
    ("reward", "said"),
    [
        (None, "None (NoneType)"),
        (float("nan"), "nan (float)"),
        (-float("inf"), "-inf (float)"),
        ("1.0", "'1.0' (str)"),
        (b"1", "b'1' (bytes)"),
        (1j, "1j (complex)"),
        ([1.0], "[1.0] (list)"),
        (10**400, " (int)"),
        (np.float32("nan"), " (float32)"),
        (np.array([1.0]), " (ndarray)"),
        (mx.array([1.0]), " (array)"),
        (mx.array(float("inf")), " (array)"),
        (Decimal("NaN"), " (Decimal)"),
    ],
)
@pytest.mark.parametrize("kind", [Grade, Odd])
def test_a_reward_of_a_wrong_kind_is_one_line_with_task_count_and_kind(reward, said, kind):
    with pytest.raises(TaskDataError) as caught:
        ask(paid(reward, kind=kind))
    line = str(caught.value)
    assert line.startswith("start-high: ")
    assert "of 4" in line
    assert "got reward " in line
    assert said in line
    assert "\n" not in line


@pytest.mark.whole_runs
@pytest.mark.parametrize(
    "reward",
    [
        *(1, True, np.float32(1), np.float64(1), np.int64(1), np.bool_(True), np.array(1.0)),
        *(
            mx.array(1.0),
            mx.array(1),
            mx.array(1.0, dtype=mx.bfloat16),
            Decimal(1),
            Fraction(1),
        ),
    ],
)
def test_a_number_of_any_library_is_pythons_afterwards(reward):
    for grade in ask(paid(reward, is_right=reward)):
        assert (type(grade.reward), grade.reward) == (float, 1.0)
        assert grade.is_right is True


@pytest.mark.whole_runs
@pytest.mark.parametrize("is_right", [None, "no", 2, 0.5, []])
def test_right_is_true_or_false(is_right):
    with pytest.raises(TaskDataError, match=r"start-high: .*got is_right .*, expected True or"):
        ask(paid(1.0, is_right))


@pytest.mark.whole_runs
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([RIGHT] * 3, "got 3 grades for 4 completions"),
        ([RIGHT] * 5, "got more than 4 grades for 4 completions"),
        ([], "got 0 grades for 4 completions"),
        (lambda _: (RIGHT for _ in count()), "got more than 4 grades for 4 completions"),
        (None, "got None (NoneType), expected 4 grades"),
        (1.0, "got 1.0 (float), expected 4 grades"),
        ("1111", "got '1111' (str), expected 4 grades"),
        ({1: RIGHT}, "(dict), expected 4 grades"),
        ([1.0] * 4, "grade 1 of 4: got 1.0 (float), expected Grade("),
        ([RIGHT, RIGHT, (1.0, True, "right"), RIGHT], "grade 3 of 4: got (1.0, True, 'right')"),
        ([None] * 4, "grade 1 of 4: got None (NoneType), expected Grade("),
        (mx.ones(4), "grade 1 of 4: got array("),
    ],
)
def test_anything_but_a_grade_for_each_completion_is_one_line(given, said):
    with pytest.raises(TaskDataError) as caught:
        ask(given)
    assert str(caught.value).startswith("start-high: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.whole_runs
def test_grades_may_be_made_one_by_one_and_of_a_class_of_their_own():
    assert ask(lambda attempts: (RIGHT for _ in attempts)) == [RIGHT] * 4
    assert ask(tuple([RIGHT] * 4)) == [RIGHT] * 4
    assert (
        ask([Odd(np.float32(0.5), np.bool_(False), REASON)] * 4)
        == [Grade(0.5, False, REASON)] * 4
    )


@pytest.mark.whole_runs
@pytest.mark.parametrize("worst", [None, float("nan"), "0"])
def test_the_worst_reward_is_a_number_too(worst):
    with pytest.raises(TaskDataError, match=r"start-high: got worst_reward .*, expected a fin"):
        ask([RIGHT] * 4, worst)
