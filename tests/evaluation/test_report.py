"""Reports, comparisons, and files of answers."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_t2.errors import ConfigError, FileError, TaskDataError
from mlx_t2.evaluation import (
    GradedItem,
    Report,
    by_kind,
    commonest_answer,
    read_items,
    wilson,
    write_items,
)


def item(number, reward, completion="9", kind="first"):
    return GradedItem(
        id=f"largest/{number}",
        question="7, 9, 4",
        answer="9",
        completion=completion,
        reward=reward,
        is_right=reward == 1,
        reason="right" if reward == 1 else "wrong",
        is_finished=True,
        label="largest",
        coefficients={"largest": 1.0},
        kind=kind,
    )


ITEMS = [
    item(0, 1.0),
    item(1, 1.0),
    item(2, 0.0, "9 "),
    item(3, 0.0, "4", "last"),
    item(4, 1.0, "7", "last"),
]


def report(items):
    return Report.of(
        items, task="largest", model="tiny", split="test", seconds=1.5, strategy="none"
    )


def test_a_report_has_the_keys_that_scripts_rely_on():
    read = json.loads(json.dumps(report(ITEMS).to_json()))
    assert read == {
        "task": "largest",
        "model": "tiny",
        "split": "test",
        "n": 5,
        "samples": 1,
        "clusters": 5,
        "correct": 3,
        "accuracy": 0.6,
        "interval": list(wilson(3, 5)),
        "strict": 0.6,
        "lenient": 0.6,
        "truncated": 0.0,
        "seconds": 1.5,
        "strategy": "none",
    }


def test_format_is_reported_apart_from_skill():
    items = [
        replace(ITEMS[0], is_strict=True, is_lenient=True),
        replace(ITEMS[1], is_strict=False, is_lenient=True),
        replace(ITEMS[2], is_lenient=True, is_finished=False),
        replace(ITEMS[3], is_finished=False),
        ITEMS[3],
    ]
    found = report(items)
    assert (found.accuracy, found.strict, found.lenient) == (0.4, 0.2, 0.6)
    assert found.truncated == 0.4


def test_items_that_share_something_count_for_less():
    """Two clusters that are right and wrong as a whole tell as much as one problem."""
    items = [replace(item(i, float(i < 4)), cluster="ab"[i // 4]) for i in range(8)]
    found = report(items)
    assert (found.clusters, found.n, found.accuracy) == (2, 8, 0.5)
    assert found.interval == pytest.approx(wilson(0.5, 1))


def test_samples_are_reported_as_chances():
    """Three problems of four samples with 0, 1 and 4 right: pass@1 is 5/12, and two samples
    hold a right one with chance 0, 1 − C(3,2)/C(4,2) = 1/2, and 1.
    """
    items = [
        replace(item(i, float(k < right)), sample=k, samples=4, temperature=1.0)
        for i, right in enumerate((0, 1, 4))
        for k in range(4)
    ]
    found = Report.of(
        items, task="t", model="m", split="test", seconds=1, strategy="none", ks=(1, 2)
    )
    assert (found.n, found.samples, found.clusters, found.correct) == (3, 4, 3, 5)
    assert found.pass_at == {"1": pytest.approx(5 / 12), "2": pytest.approx(0.5)}
    assert found.pass_at_interval["2"] == (0.0, 1.0)  # 3 problems: any may be drawn three times
    assert report(items).pass_at.keys() == {"1", "4"}
    with pytest.raises(ConfigError, match=r"pass@k: got k = 5 of 4 samples, expected 1 to 4"):
        Report.of(items, task="", model="", split="", seconds=1, strategy="", ks=(5,))


def test_a_report_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="got no items"):
        report([])


def test_accuracy_is_broken_down_by_kind():
    table = by_kind(ITEMS)
    assert {kind: (share.correct, share.n) for kind, share in table.items()} == {
        "first": (2, 3),
        "last": (1, 2),
    }
    assert table["last"].accuracy == 0.5


def test_right_is_what_the_grade_says_whatever_the_reward():
    rewards = {0: 0.5, 1: 0.0, 2: 0.0, 3: 1.0}
    items = [replace(item(i, reward), is_right=i < 3) for i, reward in rewards.items()]
    assert report(items).correct == 3
    assert by_kind(items)["first"].correct == 3


def test_the_commonest_answer_ignores_blanks():
    assert commonest_answer(ITEMS) == ("9", 0.6)


TEXT = st.text(st.characters(codec=None), max_size=30)


@settings(deadline=None)  # each file is synced to the disk
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_items_come_back_from_their_file_whatever_the_model_wrote(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("items") / "new" / "answers.jsonl"
    items = [item(i, 1.0, text) for i, text in enumerate(texts)]
    write_items(items, path)
    assert read_items(path) == items
    assert [file.name for file in path.parent.iterdir()] == ["answers.jsonl"]


def test_a_line_ends_at_a_newline_and_at_nothing_else_that_looks_like_one(tmp_path):
    path = tmp_path / "answers.jsonl"
    write_items([item(0, 1.0, "SEPARATOR")], path)
    path.write_text(path.read_text().replace("SEPARATOR", "\u2028"), encoding="utf-8")
    assert read_items(path)[0].completion == "\u2028"


def test_each_line_that_cannot_be_used_is_named(tmp_path):
    path = tmp_path / "answers.jsonl"
    write_items(ITEMS[:1], path)
    good = path.read_text()
    no_reward = good.replace('"reward": 1.0', '"reward": "much"')
    unclear = good.replace('"is_right": true', '"is_right": 1')
    path.write_text(good + no_reward + unclear + '{"id": "x"}\nhello\n[1]\n')
    with pytest.raises(TaskDataError) as refusal:
        read_items(path)
    assert str(refusal.value) == (
        f"{path}: line 2: got reward 'much', expected a number; "
        "line 3: got is_right 1, expected true or false; "
        "line 4: got completion None, expected text; and 2 more, "
        "expected answers as `t2 eval --out` writes them"
    )


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("hello", "line 1: got 'hello', expected a JSON object"),
        ("[1]", "line 1: got '[1]', expected a JSON object"),
        ('{"id": 7}', "line 1: got id 7, expected text"),
        ("[" * 100_000, "line 1: got '[[["),
        (b"\xff\xfe", "line 1: got '"),
        ('{"prompt": "2 + 2", "answer": "4"}', "line 1: got id None, expected text"),
    ],
)
def test_what_is_no_answer_is_named_in_one_line(tmp_path, line, fault):
    path = tmp_path / "answers.jsonl"
    path.write_bytes(line if isinstance(line, bytes) else line.encode())
    with pytest.raises(TaskDataError) as refusal:
        read_items(path)
    assert str(refusal.value).startswith(f"{path}: {fault}")
    assert "\n" not in str(refusal.value)


def test_fields_that_no_answer_has_are_named(tmp_path):
    path = tmp_path / "answers.jsonl"
    write_items(ITEMS[:1], path)
    path.write_text(path.read_text().replace('"id"', '"mood": 1, "id"'))
    with pytest.raises(TaskDataError, match="line 1: got mood, expected fields of an answer"):
        read_items(path)
    write_items(ITEMS[:1], path)
    path.write_text(path.read_text().replace('"answer": "9", ', ""))
    with pytest.raises(TaskDataError, match="line 1: got no answer, expected answers"):
        read_items(path)


def test_an_empty_or_missing_file_is_refused(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(TaskDataError, match=r"empty\.jsonl: got no line, expected answers"):
        read_items(tmp_path / "empty.jsonl")
    for path in (tmp_path / "gone.jsonl", tmp_path):
        with pytest.raises(TaskDataError, match="got no file, expected answers"):
            read_items(path)


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "answers.jsonl").mkdir()
    with pytest.raises(FileError, match=r"answers\.jsonl: cannot be written"):
        write_items(ITEMS, tmp_path / "answers.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]
