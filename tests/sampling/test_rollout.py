"""Rollouts: every completion beside its own grade, and what being cut off earns."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_task import StartHigh, toy_model

from mlx_t2.errors import SandboxError, TaskDataError
from mlx_t2.grading import Grade
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
            cut = Grade(0.0, False, "cut off at 3 tokens")
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
