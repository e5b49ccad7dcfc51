"""Public data sets: where rows are read from, how they are split, how they are worded."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from mlx_t2.errors import TaskDataError
from mlx_t2.tasks import get_task, question_of, read_rows, task_names
from mlx_t2.tasks.arc import options_of
from mlx_t2.tasks.hendrycks_math import find_boxed

PUBLIC = ("gsm8k", "math", "arc-easy", "arc-challenge", "arc-easy-letter", "mbpp", "humaneval")


def sums(n, start=0):
    return [
        {"question": f"What is {i} + {i}?", "answer": f"{i} + {i} = {2 * i}\n#### {2 * i}"}
        for i in range(start, start + n)
    ]


def arc(n):
    return [
        {
            "id": str(i),
            "question": f"Which is {i}?",
            "choices": {"text": [f"it is {i}", "none", "none"], "label": ["1", "2", "3"]},
            "answerKey": "1",
        }
        for i in range(n)
    ]


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("MLX_T2_DATA", str(tmp_path))

    def put(folder, **splits):
        (tmp_path / folder).mkdir()
        for split, rows in splits.items():
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (tmp_path / folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")

    return put


def all_of(task, split):
    return task.problems(split, task.available(split, 10**6))


def test_the_mirror_has_a_folder_for_each_configuration_or_one_for_all(mirror):
    mirror("a--b", test=[{"n": 1}])
    mirror("a--c--x", test=[{"n": 2}])
    mirror("a--c--y", test=[{"n": 3}])
    assert read_rows("a/b", "main", "test") == [{"n": 1}]
    assert read_rows("a/b", ("x", "y"), "test") == [{"n": 1}]
    assert read_rows("a/c", ("x", "y"), "test") == [{"n": 2}, {"n": 3}]


def test_a_mirror_without_the_rows_says_which_file_and_what_to_do(mirror):
    with pytest.raises(
        TaskDataError, match=r"a--b/test.jsonl: no such file.*unset MLX_T2_DATA"
    ):
        read_rows("a/b", None, "test")


def test_a_mirror_that_is_no_folder_is_named(monkeypatch):
    monkeypatch.setenv("MLX_T2_DATA", "/nowhere/at/all")
    with pytest.raises(
        TaskDataError, match="MLX_T2_DATA: got '/nowhere/at/all', expected a fo"
    ):
        get_task("gsm8k").problems("test", 1)
    assert all(get_task(name).source for name in task_names())


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"question": "a"}, r"test.jsonl: line 2: lacks answer"),
        (
            {"question": 1, "answer": "#### 2"},
            "line 2: question: got a number, expected a text",
        ),
    ],
)
def test_a_malformed_line_of_the_mirror_is_named(mirror, row, match):
    mirror("openai--gsm8k", train=sums(9), test=[*sums(1), row])
    with pytest.raises(TaskDataError, match=match):
        get_task("gsm8k").problems("test", 1)


def test_no_question_is_in_two_splits(mirror):
    """Three test questions are in the training part as well, one in capitals."""
    again = [*sums(2, 200), {**sums(1, 202)[0], "question": "WHAT  IS 202 + 202?"}]
    mirror("openai--gsm8k", train=[*sums(200), *again], test=sums(50, 200))
    task = get_task("gsm8k")
    asked = {
        s: {question_of(p)["content"].lower() for p in all_of(task, s)} for s in task.splits
    }
    assert [len(asked[s]) for s in ("train", "validation")] != [0, 0]
    assert len(asked["train"]) + len(asked["validation"]) == 200
    assert len(asked["test"]) == 50
    assert not asked["train"] & asked["validation"]


def test_a_test_part_alone_is_cut_and_says_so(mirror):
    mirror("allenai--ai2_arc--ARC-Easy", test=arc(300))
    task = get_task("arc-easy")
    parts = [{p.id for p in all_of(task, split)} for split in task.splits]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 300
    assert 90 < len(parts[0]) < 150
    assert 15 < len(parts[1]) < 48  # each count is within five standard deviations
    assert "only its test part is at hand, cut by a hash" in task.source
    assert len(all_of(task, "all")) == 300


def test_the_same_question_lies_in_the_same_split_of_every_task(mirror):
    mirror("allenai--ai2_arc--ARC-Easy", test=arc(100))
    mirror("allenai--ai2_arc--ARC-Challenge", test=arc(100))
    for split in ("train", "validation", "test"):
        easy, hard = (
            {question_of(p)["content"] for p in all_of(get_task(f"arc-{part}"), split)}
            for part in ("easy", "challenge")
        )
        assert easy == hard


def test_rows_that_are_there_twice_have_an_identity_each(mirror):
    mirror("allenai--ai2_arc--ARC-Easy", test=[*arc(20), *arc(20)])
    counts = Counter(p.id for p in all_of(get_task("arc-easy"), "all"))
    assert set(counts.values()) == {1}
    assert len(counts) == 40


def test_arc_is_asked_bare_or_with_letters(mirror):
    mirror("allenai--ai2_arc--ARC-Easy", test=arc(9))
    task, letters = get_task("arc-easy"), get_task("arc-easy-letter")
    bare, listed = task.problems("all", 1)[0], letters.problems("all", 1)[0]
    assert bare.options == (bare.answer, "none")
    assert [g.is_right for g in task.grade([(bare, bare.answer), (bare, "none")])] == [
        True,
        False,
    ]
    assert question_of(listed)["content"].endswith("\nB. none\nC. none")
    grades = letters.grade([(listed, "A"), (listed, "The answer is B."), (listed, "")])
    assert [g.is_right for g in grades] == [True, False, False]


def test_labels_may_be_digits_and_two_to_five():
    row = {"choices": {"text": list("vwxyz"), "label": list("12345")}, "answerKey": "5"}
    assert options_of({"question": "?", **row}) == (
        {"A": "v", "B": "w", "C": "x", "D": "y", "E": "z"},
        "E",
    )
    with pytest.raises(TaskDataError, match="got answerKey '6' with 5 options"):
        options_of({"question": "?", **row, "answerKey": "6"})


def test_gsm8k_is_graded_by_the_number_after_the_marks(mirror):
    mirror("openai--gsm8k", train=sums(9), test=sums(1, 21))
    task = get_task("gsm8k")
    (problem,) = task.problems("test", 1)
    assert problem.answer == "42"
    strict, loose, bad = task.grade([(problem, t) for t in ("#### 42", "So 42.", "#### 41")])
    assert (strict.is_right, strict.is_strict) == (True, True)
    assert (loose.is_right, loose.is_strict) == (True, False)
    assert not bad.is_right
    assert "####" in task.prompt[0]["content"]


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"$\boxed{1}$ or $\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
        (r"$\boxed 5$", "5"),
        (r"$\fbox{7}$", "7"),
        (r"$\boxed{\{1, 2\}}$", r"\{1, 2\}"),
        (r"$\boxed{1", None),
        ("none", None),
    ],
)
def test_what_is_boxed_last_is_the_answer(solution, answer):
    assert find_boxed(solution) == answer


class _Hub(BaseHTTPRequestHandler):
    """As much of a hub as one data set of JSON lines needs."""

    files: dict[str, bytes]

    def do_GET(self):
        path = unquote(self.path.partition("?")[0])
        name = path.rpartition("/")[2]
        if "/resolve/" in path and name in self.files:
            return self._send(self.files[name], {"X-Repo-Commit": "0" * 40, "ETag": '"1"'})
        if "/tree/" in path:
            listed = [
                {"type": "file", "path": n, "size": len(b), "oid": "1"}
                for n, b in self.files.items()
            ]
            return self._send(json.dumps(listed if path.endswith("0" * 40) else []).encode())
        if path.startswith("/api/datasets/"):
            siblings = [{"rfilename": name} for name in self.files]
            about = {"id": "a/b", "sha": "0" * 40, "siblings": siblings, "tags": []}
            return self._send(json.dumps(about).encode())
        return self._send(b'{"error": "none"}', {"X-Error-Code": "EntryNotFound"}, 404)

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = json.loads(body or b"{}").get("paths", [])
        found = [
            {"type": "file", "path": n, "size": len(self.files[n]), "oid": "1"}
            for n in asked
            if n in self.files
        ]
        self._send(json.dumps(found).encode())

    def _send(self, body, headers=None, code=200):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def read_elsewhere(tmp_path, endpoint, **variables):
    """What another process reads from that hub: the address is read when it starts."""
    code = "from mlx_t2.tasks import read_rows; print(read_rows('a/b', None, 'test'))"
    home = {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": endpoint, "HOME": str(tmp_path)}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "MLX_T2_D"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment | home | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_a_mirror_rows_are_the_hubs(tmp_path):
    _Hub.files = {"test.jsonl": b'{"n": 1}\n{"n": 2}\n'}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = read_elsewhere(tmp_path, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert done.stdout == "[{'n': 1}, {'n': 2}]\n", done.stderr[-2000:]


def test_a_hub_that_is_tried_again_says_so_nowhere(monkeypatch):
    said, hub = [], logging.getLogger("huggingface_hub")
    handler = logging.Handler()
    handler.emit = said.append
    hub.addHandler(handler)

    def load_dataset(*_, **__):
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 8s")
        return [{"n": 1}]

    bars = dict.fromkeys(
        ("is_progress_bar_enabled", "disable_progress_bars", "enable_progress_bars"), bool
    )
    library = SimpleNamespace(load_dataset=load_dataset, **bars)
    monkeypatch.setitem(sys.modules, "datasets", library)
    monkeypatch.delenv("MLX_T2_DATA", raising=False)
    try:
        level = hub.level
        assert read_rows("a/b", None, "test") == [{"n": 1}]
        assert (said, hub.level) == ([], level)
    finally:
        hub.removeHandler(handler)


def test_a_hub_that_is_not_reached_is_one_line_with_the_remedy(tmp_path):
    done = read_elsewhere(tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    said = done.stderr.strip().splitlines()[-1]
    assert "a/b, test: cannot be read from the hub" in said
    assert "Go online (now HF_HUB_OFFLINE=1), or set MLX_T2_DATA to" in said


@pytest.mark.skipif(not os.environ.get("MLX_T2_DATA"), reason="needs MLX_T2_DATA")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        *(("gsm8k", 1319), ("math", 5000), ("arc-easy", 2376), ("arc-challenge", 1172)),
        *(("mbpp", 500), ("humaneval", 164)),
    ],
)
def test_the_published_test_parts_are_whole(name, count):
    task = get_task(name)
    assert len({p.id for p in all_of(task, "all")}) == count
    ids = [{p.id for p in all_of(task, split)} for split in task.splits]
    assert sum(map(len, ids)) == len(set.union(*ids))


@pytest.mark.skipif(not os.environ.get("MLX_T2_DATA"), reason="needs MLX_T2_DATA")
def test_all_training_rows_are_there():
    assert sum(get_task("gsm8k").available(s, 10**6) for s in ("train", "validation")) == 7473
