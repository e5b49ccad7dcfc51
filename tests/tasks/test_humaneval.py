import json
import os

import pytest

from mlx_t2.errors import TaskDataError
from mlx_t2.sandbox import sandbox_level
from mlx_t2.tasks import get_task

ROW = {
    "task_id": "HumanEval/0",
    "prompt": 'from math import prod\n\n\ndef double(n: int) -> int:\n    """ Twice n. """\n',
    "canonical_solution": "    return prod([2, n])\n",
    "entry_point": "double",
    "test": "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate(2) == 4\n"
    "    assert not candidate(0)\n    assert True\n",
}


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    if sandbox_level() == "limits":
        pytest.skip("only limits hold programs here")
    folder = tmp_path / "openai--openai_humaneval"
    folder.mkdir()
    (folder / "test.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    monkeypatch.setenv("MLX_T2_DATA", str(tmp_path))


def test_the_reference_is_right_as_a_whole_and_as_a_body(mirror):
    task = get_task("humaneval")
    (problem,) = task.problems("test", 1)
    body, whole = ROW["canonical_solution"], "def double(n):\n    return prod((n, 2))"
    answers = [
        problem.answer,
        body,
        body.strip(),
        whole,
        f"```python\n{body}```",
        "    return n",
    ]
    grades = task.grade([(problem, answer) for answer in answers])
    assert [grade.is_right for grade in grades] == [True] * 5 + [False]
    assert grades[-1].reason == "double(2): got 2, expected 4"


def test_the_prompt_is_the_beginning_of_the_function(mirror):
    (problem,) = get_task("humaneval").problems("all", 1)
    text = problem.messages[-1]["content"]
    assert ROW["prompt"].strip() in text
    assert "candidate" not in text
    assert "return prod" not in text


def test_there_is_nothing_to_train_on(mirror):
    task = get_task("humaneval")
    assert task.splits == ("test",)
    with pytest.raises(TaskDataError, match="humaneval: unknown split 'train'"):
        task.step(1, 0)


@pytest.mark.skipif("MLX_T2_DATA" not in os.environ, reason="no folder of public data")
def test_all_references_of_the_public_set_are_right():
    task = get_task("humaneval")
    problems = task.problems("all", 164)
    grades = task.grade([(problem, problem.answer) for problem in problems])
    assert [p.id for p, g in zip(problems, grades, strict=True) if not g.is_right] == []
