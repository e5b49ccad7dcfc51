"""Tasks of one's own at the command line: checked, graded, trained on, measured."""

import json

import pytest

SUMS = [{"prompt": f"{n} + {n}?", "answer": str(2 * n)} for n in range(60)]


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SUMS), encoding="utf-8")
    return path


def result(done):
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)


def test_the_list_names_every_task_and_where_its_rows_are_from(t2, monkeypatch):
    monkeypatch.setenv("MLX_T2_DATA", "/nowhere/at/all")  # a list reads no rows
    listed = {task["name"]: task for task in result(t2("tasks --json"))["tasks"]}
    public = {"gsm8k", "math", "arc-easy", "arc-challenge-letter", "mbpp", "humaneval", "cls"}
    assert public <= listed.keys()
    assert listed["humaneval"]["splits"] == ["test"]
    assert all(task["source"] for task in listed.values())


def test_a_checked_file_shows_three_graded_examples(t2, mine):
    checked = result(t2(f"tasks check {mine} --json"))
    assert (checked["n"], checked["right"], sum(checked["counts"].values())) == (60, 60, 60)
    assert [e["is_right"] for e in checked["examples"]] == [True, False, False]
    told = t2(f"tasks check {mine}").stdout
    assert "all 60 right answers are graded right" in told
    assert "guessed from the answers" in told


def test_a_grader_that_finds_right_answers_wrong_is_refused(t2, mine):
    (mine.parent / "rewards.py").write_text("def never(prompt, completion, row): return 0\n")
    done = t2(f"tasks check {mine} --reward {mine.parent}/rewards.py:never")
    assert done.code == 1
    assert "60 right answers are graded wrong" in done.stderr


def test_references_are_verified(t2, mine):
    verified = result(t2(f"tasks verify {mine} --json"))
    assert verified["n"] == verified["right"] > 0
    assert verified["wrong_ids"] == []
    assert verified["seconds"] >= 0


@pytest.mark.parametrize(
    ("words", "is_right"),
    [
        ("gsm8k --answer 84 --completion ####84", True),
        ("gsm8k --answer 84 --completion 83", False),
        ("number --answer 84 --completion 84", True),
        ("largest --answer 84 --completion 84", True),
        ("arc-easy-letter --answer B --completion (B)", True),
        ("cls --answer kind --completion kind", True),
    ],
)
def test_a_completion_is_graded(t2, words, is_right):
    graded = result(t2(f"tasks grade {words} --json"))
    assert graded["is_right"] is is_right
    assert graded["reward"] == float(is_right)
    assert graded["reason"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("tasks grade gsm8k --answer x --completion 1", 1, "'x'"),
        ("tasks grade gsm8k --answer 1 --completion 1 --row [", 2, "--row: not JSON"),
        ("tasks grade gsm8k --answer 1 --completion 1 --row 1", 2, "expected a JSON object"),
        ("tasks grade gsm8", 2, "Missing option"),
        ("tasks show gsm8", 1, "Did you mean gsm8k?"),
        ("tasks show ./none.jsonl", 1, "none.jsonl: no such file"),
        ("tasks show largest --grader exact", 1, "it brings its own grader"),
        ("tasks show humaneval --split train", 1, "unknown split 'train'"),
        ("tasks verify {mine} --grader nothing", 1, "expected one of exact, contains"),
        ("train {mine} --grader exact --reward a.py:f", 1, "got a grader and a reward"),
        ("train {mine} --test 200", 1, "got 200 problems to draw, expected at most"),
        ("train humaneval", 1, "humaneval: unknown split"),
    ],
)
def test_what_is_wrong_is_one_line(t2, mine, words, code, told):
    done = t2(words.format(mine=mine))
    assert (done.code, told in " ".join(done.stderr.split())) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_is_trained_on_measured_and_gone_on_with(t2, mine, tmp_path):
    out = tmp_path / "run"
    words = f"train {mine} --model tiny --prompts 2 --group 2 --max-tokens 3 --out {out} --json"
    trained = result(t2(f"{words} --steps 1"))
    assert trained["task"] == "mine"
    assert trained["source"].startswith("mine.jsonl, 60 rows")
    config = json.loads((out / "config.json").read_text())
    assert (config["task"], config["source"]) == ("mine", trained["source"])
    assert config["validation"] < 60  # the default asks for more than there are
    shown = result(t2(f"eval {mine} --model tiny --expert {trained['expert']} --json"))
    assert shown["task"] == "mine"
    assert result(t2(f"{words} --steps 2 --resume"))["steps"] == 2
    mine.write_text(mine.read_text().replace('"118"', '"119"'))
    done = t2(f"{words} --steps 3 --resume")
    assert done.code == 1
    assert "a run with another source" in done.stderr


def test_cls_is_made_of_a_folders_experts_and_names_those_passed_over(t2, mine, tmp_path):
    words = "--model tiny --prompts 2 --group 2 --steps 1 --validation 3 --test 0 --json"
    folder = tmp_path / "experts"
    folder.mkdir()
    for name, task in (("sums", f"{mine} --max-tokens 3"), ("things", "kind")):
        trained = result(t2(f"train {task} {words} --out {tmp_path / name}"))
        (folder / f"{name}.safetensors").write_bytes(
            (tmp_path / name / "expert.safetensors").read_bytes()
        )
        assert trained["steps"] == 1
    shown = result(t2(f"tasks show cls --experts {folder} --json"))
    assert shown["problems"][0]["options"] == ["other", "sums", "things"] or shown["problems"][
        0
    ]["options"] == ["sums", "things", "other"]
    mine.unlink()
    told = t2(f"tasks show cls --experts {folder}").stderr
    assert "passed over, their tasks are not known here: sums (mine)" in " ".join(told.split())
