"""A task made of rows: order, balance, prompts and grades, on a toy data set."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import RIGHT, Grader, grade_text, wrong
from mlx_t2.tasks import DatasetTask, Question, Task

SIZES = {"train": 30, "validation": 5, "test": 20}
PROMPT = ({"role": "system", "content": "Say the parity."},)


def rows(split):
    """Numbers; every third is a multiple of three, which is a kind of its own."""
    return [{"n": i + 100 * list(SIZES).index(split)} for i in range(SIZES[split])]


def template(row):
    kind = "three" if row["n"] % 3 == 0 else "odd" if row["n"] % 2 else "even"
    return Question(f"toy/{row['n']}", f"{row['n']}?", kind, kind)


def toy(**changes):
    grader = Grader(
        grade=lambda attempts: [grade_text(a.completion, a.answer) for a in attempts],
        rule="1 for the kind, else 0",
    )
    task = DatasetTask(
        name="toy",
        domain="parity",
        description="parities",
        rows=rows,
        template=template,
        grader=grader,
        max_tokens=4,
        prompt=PROMPT,
    )
    return replace(task, **changes)


def test_rows_a_template_and_a_grader_are_a_task():
    task = toy()
    assert isinstance(task, Task)
    assert (task.rule, task.worst_reward) == ("1 for the kind, else 0", 0.0)
    assert task.splits == ("train", "validation", "test")


def test_a_problem_is_the_templates_question_after_the_prompt():
    (problem,) = toy().problems("validation", 1)
    number = problem.id.removeprefix("toy/")
    assert problem.messages == (*PROMPT, {"role": "user", "content": f"{number}?"})
    assert problem.answer == problem.kind
    assert problem.domain == "parity"


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 3))
def test_fewer_problems_are_the_first_of_more(n, seed):
    task = toy()
    assert task.problems("test", n, seed) == task.problems("test", 20, seed)[:n]


def test_problems_are_all_rows_of_the_split_in_the_order_of_the_seed():
    first, second = (toy().problems("test", 20, seed) for seed in (0, 1))
    assert first != second
    ids = [{p.id for p in problems} for problems in (first, second)]
    assert ids[0] == ids[1] == {f"toy/{200 + i}" for i in range(20)}


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, 50))
def test_a_step_asks_distinct_training_questions(n, seed):
    for balanced in (True, False):
        ids = [p.id for p in toy().step(n, seed, balanced)]
        assert len(set(ids)) == len(ids) == n
        assert set(ids) <= {f"toy/{i}" for i in range(30)}


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, 50))
def test_a_step_is_as_even_over_kinds_as_their_rows_allow(n, seed):
    """10 of 30 rows are of each kind."""
    counts = Counter(p.kind for p in toy().step(n, seed))
    assert max(counts.values()) - min(counts.get(k, 0) for k in ("odd", "even", "three")) <= 1


def test_a_kind_that_has_run_out_is_passed_over():
    rare = toy(rows=lambda split: [{"n": n} for n in (3, 2, 4, 8, 10, 14)])
    assert Counter(p.kind for p in rare.step(6, 0)) == {"three": 1, "even": 5}


def test_the_kind_that_is_left_out_changes_with_the_seed():
    assert {toy().step(1, seed)[0].kind for seed in range(3)} == {"odd", "even", "three"}


def test_an_unbalanced_step_has_kinds_as_chance_has_them():
    counts = [Counter(p.kind for p in toy().step(9, seed, False)) for seed in range(9)]
    assert any(set(count.values()) != {3} for count in counts)


def test_rows_are_read_once_and_not_before_they_are_needed():
    read = []
    task = toy(rows=lambda split: read.append(split) or rows(split))
    assert read == []
    for _ in range(3):
        task.problems("test", 2)
        task.step(2, 0)
    assert read == ["test", "train"]


def test_more_problems_than_rows_are_refused():
    with pytest.raises(TaskDataError, match=r"toy: got 21 .* at most 20 of the test split"):
        toy().problems("test", 21)
    with pytest.raises(TaskDataError, match=r"toy: got 31 .* at most 30 of the train split"):
        toy().step(31, 0)
    with pytest.raises(TaskDataError, match=r"toy: unknown split 'dev'"):
        toy().problems("dev", 1)


def test_grades_are_the_graders():
    task = toy()
    problem = task.problems("test", 1)[0]
    grades = task.grade([(problem, problem.answer), (problem, "x")])
    assert grades == [RIGHT, wrong(f"got 'x', expected {problem.answer!r}")]


def test_a_choice_is_the_text_unless_an_answer_is_extracted():
    problem = toy().problems("test", 1)[0]
    assert toy().choice(problem, " Odd\n") == "odd"
    last_word = toy(extract=lambda text: text.split()[-1])
    assert last_word.choice(problem, "It is odd") == "odd"
