"""`cls`: which expert does a question belong to?"""

import pytest

from mlx_t2.errors import TaskDataError
from mlx_t2.tasks import SPLITS, get_task, make_cls, question_of

TASKS = {"formulas": get_task("expression"), "things": get_task("kind-both")}


def asked(task, split):
    problems = task.problems(split, task.available(split, 10**6))
    return {question_of(p)["content"]: p.answer for p in problems}


def test_the_answer_is_the_label_of_the_questions_task():
    task = make_cls(TASKS)
    assert {p.options for p in task.step(6, 0)} == {("formulas", "things", "other")}
    labels = [p.answer for p in task.step(6, 0)]
    assert sorted(labels) == ["formulas", "formulas", "other", "other", "things", "things"]
    problem = task.problems("test", 1)[0]
    assert len(problem.messages) == 1
    assert [g.is_right for g in task.grade([(problem, problem.answer), (problem, "x")])] == [
        1,
        0,
    ]


@pytest.mark.whole_runs  # 20,000 questions
def test_no_held_out_question_of_a_task_is_in_any_split():
    task = make_cls(TASKS)
    held_out = set()
    for one in TASKS.values():
        for split in ("validation", "test"):
            held_out |= set(asked(one, split))
    ours = {split: set(asked(task, split)) for split in SPLITS}
    assert all(questions and not questions & held_out for questions in ours.values())
    assert not ours["train"] & ours["validation"]
    assert not (ours["train"] | ours["validation"]) & ours["test"]


def test_a_question_of_two_tasks_is_left_out():
    task = make_cls({"one": get_task("kind"), "two": get_task("kind-shared")})
    assert set(asked(task, "train").values()) == {"other"}


@pytest.mark.parametrize("tasks", [{}, {"other": get_task("kind")}])
def test_no_experts_or_one_called_other_are_refused(tasks):
    with pytest.raises(TaskDataError, match=r"cls: got .* expected at least one"):
        make_cls(tasks)


def test_by_name_it_says_what_it_is_made_of():
    with pytest.raises(TaskDataError, match="made of the experts of a library, see --experts"):
        get_task("cls")
