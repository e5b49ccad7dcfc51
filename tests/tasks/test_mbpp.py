import json
import os

import pytest

from mlx_t2.grading import HIDDEN_FAILED
from mlx_t2.sandbox import sandbox_level
from mlx_t2.tasks import DatasetTask, get_task
from mlx_t2.tasks.mbpp import hold_out

ROWS = {
    "train": [
        (1, "Double it.", "double", ["4", "0", "14"]),
        (2, "Square it.", "sq", ["4", "0", "49"]),
    ],
    "validation": [(3, "Halve it.", "half", ["1", "0", "3.5"])],
    "test": [
        (4, "Add one.", "inc", ["3", "1", "8"]),
        (5, "Square  IT.", "sq2", ["4", "0", "49"]),
    ],
}
CODE = {"double": "2 * n", "sq": "n * n", "half": "n / 2", "inc": "n + 1", "sq2": "n ** 2"}


def make_row(number: int, text: str, name: str, values: list[str]) -> dict:
    tests = [
        f"assert {name}({n}) == {value}" for n, value in zip((2, 0, 7), values, strict=True)
    ]
    return {
        "task_id": number,
        "text": text,
        "code": f"def {name}(n):\r\n    return {CODE[name]}\r\n",
        "test_setup_code": "",
        "test_list": tests,
        "challenge_test_list": [],
    }


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    if sandbox_level() == "limits":
        pytest.skip("only limits hold programs here")
    folder = tmp_path / "google-research-datasets--mbpp"
    folder.mkdir()
    for split, rows in ROWS.items():
        lines = [json.dumps(make_row(*row)) + "\n" for row in rows]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    monkeypatch.setenv("MLX_T2_DATA", str(tmp_path))
    return folder


def test_every_reference_is_right(mirror):
    task = get_task("mbpp")
    for split, n in {"train": 1, "validation": 1, "test": 2, "all": 2}.items():
        problems = task.problems(split, n)
        grades = task.grade([(problem, problem.answer) for problem in problems])
        assert [grade.reason for grade in grades] == ["passed 3 of 3"] * n


def test_a_task_that_the_test_part_has_is_not_trained_on(mirror):
    task = get_task("mbpp")
    assert [problem.id for problem in task.step(1, 0)] == ["mbpp/1"]
    assert task.available("train", 9) == 1


def test_the_prompt_shows_two_asserts_and_the_third_is_only_known_to_the_grader(mirror):
    (problem,) = get_task("mbpp").problems("validation", 1)
    text = problem.messages[-1]["content"]
    (hidden,) = problem.row["hidden_tests"]
    assert text.startswith("Halve it.\n")
    assert hidden not in text
    assert [test in text for test in problem.row["tests"]] == [True, True]
    assert "\r" not in text


def test_a_program_that_knows_the_shown_inputs_alone_is_rewarded_and_not_right(mirror):
    task = get_task("mbpp")
    (problem,) = task.problems("validation", 1)
    calls = [test.removeprefix("assert half(").split(") == ") for test in problem.row["tests"]]
    cheat = (
        f"def half(n):\n    return {{{', '.join(': '.join(call) for call in calls)}}}.get(n)"
    )
    (grade,) = task.grade([(problem, cheat)])
    assert (grade.reward, grade.is_right) == (1, False)
    assert grade.reason.startswith(HIDDEN_FAILED)


def test_training_programs_have_less_time_than_those_that_are_measured(mirror):
    task = get_task("mbpp")
    times = {
        split: task.problems(split, 1)[0].row["cpu_s"] for split in ("train", "test", "all")
    }
    assert times == {"train": 2, "test": 10, "all": 10}


def test_a_setup_is_shown_with_the_asserts(mirror):
    row = make_row(6, "Count the nodes.", "double", ["1", "2", "3"])
    (mirror / "test.jsonl").write_text(
        json.dumps({**row, "test_setup_code": "root = Node(1) \r\nroot.next = Node(2)"}) + "\n",
        encoding="utf-8",
    )
    (problem,) = get_task("mbpp").problems("test", 1)
    assert (
        "```python\nroot = Node(1) \nroot.next = Node(2)\nassert"
        in problem.messages[-1]["content"]
    )


def test_one_test_is_held_out_by_a_hash_of_the_row():
    tests = [f"assert f({n}) == {n}" for n in range(3)]
    chosen = [hold_out(tests, key=str(i)) for i in range(60)]
    assert chosen == [hold_out(tests, key=str(i)) for i in range(60)]
    counts = [sum(hidden == [test] for _, hidden in chosen) for test in tests]
    assert min(counts) > 8
    assert all(sorted(shown + hidden) == sorted(tests) for shown, hidden in chosen)


def test_what_is_shown_has_two_expected_values_where_it_can():
    tests = ["assert f(1) == True", "assert f(2) == True", "assert f(3) == False"]
    hidden = {hold_out(tests, key=str(i))[1][0] for i in range(60)}
    assert hidden == set(tests[:2])


def test_all_is_shown_where_a_constant_would_be_rewarded_otherwise():
    twice = ["assert f(1) == True", "assert f(2) == False", "assert f(1) == True"]
    assert hold_out(twice, key="1") == (twice, [])
    alike = [
        f"assert f({n}) == True" for n in range(3)
    ]  # a constant is right, whatever is held
    assert len(hold_out(alike, key="1")[1]) == 1


@pytest.mark.parametrize("tests", [["assert f(1) == 1"], ["assert f(1) == 1"] * 3, []])
def test_nothing_is_held_out_that_is_shown(tests):
    assert hold_out(tests, key="1") == (tests, [])


@pytest.mark.skipif("MLX_T2_DATA" not in os.environ, reason="no folder of public data")
def test_all_references_of_the_public_set_are_right():
    task = get_task("mbpp")
    problems = [
        p
        for s in ("train", "validation", "all")
        for p in task.problems(s, task.available(s, 999))
    ]
    grades = task.grade([(problem, problem.answer) for problem in problems])
    assert len(task.problems("all", 500)) == 500
    assert [p.id for p, g in zip(problems, grades, strict=True) if not g.is_right] == []


def test_a_grade_can_be_begun_and_asked_for_later(mirror):
    task = get_task("mbpp")
    (problem,) = task.problems("validation", 1)
    assert isinstance(task, DatasetTask)
    wait = task.begin([(problem, problem.answer), (problem, "")])
    assert wait is not None
    assert [grade.reason for grade in wait()] == ["passed 3 of 3", "no program found"]
