"""Questions of public data sets as ordinary requests, from a mirror of our own writing."""

import json

import pytest

from mlx_t2.errors import TaskDataError
from mlx_t2.tasks import public_requests, question_of


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Two data sets with parts, and two with a single one."""

    def write(folder, part, rows):
        (tmp_path / folder).mkdir(exist_ok=True)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / folder / f"{part}.jsonl").write_text(lines)

    for part in ("train", "test"):
        write("openai--gsm8k", part, [{"question": f"{part} {i} pears?"} for i in range(5)])
        write(
            "google-research-datasets--mbpp", part, [{"text": f"{part} code {i}"} for i in "ab"]
        )
    write("ordinary_requests", "train", [{"prompt": f"Please do {i}."} for i in range(60)])
    choices = {"label": ["A", "B"], "text": ["rock", "milk"]}
    rows = [{"question": f"What melts, {i}?", "choices": choices} for i in range(40)]
    write("allenai--ai2_arc--ARC-Easy", "test", rows)
    monkeypatch.setenv("MLX_T2_DATA", str(tmp_path))
    return tmp_path


def texts(split, n=99, **more):
    return [question_of(problem)["content"] for problem in public_requests(split, n, **more)]


def test_without_a_mirror_there_are_none(monkeypatch):
    monkeypatch.delenv("MLX_T2_DATA", raising=False)
    assert public_requests("train", 5) == []


def test_published_parts_are_kept_and_what_is_not_there_is_left_out(mirror):
    kinds = {problem.kind for problem in public_requests("train", 3)}
    assert kinds == {"gsm8k", "mbpp", "ordinary_requests", "arc-easy"}
    assert {p.kind for p in public_requests("validation", 3)} == {
        "ordinary_requests",
        "arc-easy",
    }
    assert "train 3 pears?" in texts("train")
    assert not any(text.startswith("train") for text in texts("test"))


def test_a_single_part_is_cut_into_splits_that_share_nothing(mirror):
    parts = [set(texts(split)) for split in ("train", "validation", "test")]
    assert len(set().union(*parts)) == sum(map(len, parts))
    cut = [sum("melts" in text or "Please" in text for text in part) for part in parts]
    assert sum(cut) == 100
    assert cut[1] < cut[0] < 55


def test_options_are_asked_with_the_question(mirror):
    assert "What melts, 0?\nA. rock\nB. milk" in {
        t for s in ("train", "validation", "test") for t in texts(s)
    }


def test_at_most_n_of_each_in_an_order_of_the_seed(mirror):
    assert len(texts("train", 2)) == 8
    assert texts("train", 4, seed=1) == texts("train", 4, seed=1) != texts("train", 4, seed=2)


@pytest.mark.parametrize("domain", ["gsm8k", "math"])
def test_what_an_expert_is_for_and_its_kin_are_no_ordinary_requests(mirror, domain):
    kinds = {problem.kind for problem in public_requests("train", 3, domains=[domain])}
    assert kinds == {"mbpp", "ordinary_requests", "arc-easy"}


def test_a_form_of_a_task_is_the_task(mirror):
    kinds = {p.kind for p in public_requests("train", 3, domains=["arc-challenge-letter"])}
    assert kinds == {"gsm8k", "mbpp", "ordinary_requests"}
    assert len({p.kind for p in public_requests("train", 3, domains=["arcade", "kind"])}) == 4


def test_rows_of_another_shape_are_named(mirror):
    (mirror / "openai--gsm8k" / "train.jsonl").write_text('{"prompt": "?"}\n')
    with pytest.raises(TaskDataError, match=r"train\.jsonl: got a row without 'question'"):
        public_requests("train", 3)
    (mirror / "openai--gsm8k" / "train.jsonl").write_text("no row\n")
    with pytest.raises(TaskDataError, match=r"gsm8k/train\.jsonl: line 1"):
        public_requests("train", 3)


def test_a_mirror_that_is_no_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("MLX_T2_DATA", str(tmp_path / "gone"))
    with pytest.raises(TaskDataError, match="MLX_T2_DATA: got"):
        public_requests("train", 3)
