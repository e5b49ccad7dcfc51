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
    compare,
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
        "correct": 3,
        "accuracy": 0.6,
        "interval": list(wilson(3, 5)),
        "seconds": 1.5,
        "strategy": "none",
    }


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
    assert compare(items, items).before == 0.75


def test_the_commonest_answer_ignores_blanks():
    assert commonest_answer(ITEMS) == ("9", 0.6)


def test_items_are_paired_by_problem_and_not_by_place():
    after = [item(4, 1.0), item(3, 1.0), item(2, 1.0), item(1, 0.0), item(0, 1.0)]
    comparison = compare(ITEMS, after)
    assert (comparison.n, comparison.before, comparison.after) == (5, 0.6, 0.8)
    assert (comparison.paired.fixed, comparison.paired.broken) == (2, 1)
    assert (
        comparison.interval[0] <= comparison.after - comparison.before <= comparison.interval[1]
    )


def test_other_problems_cannot_be_compared():
    with pytest.raises(ConfigError, match=r"got 5 and 4 problems, 1 of them only once \(la"):
        compare(ITEMS, ITEMS[1:])


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
    no_reward = path.read_text().replace('"reward": 1.0', '"reward": "much"')
    unclear = path.read_text().replace('"is_right": true', '"is_right": 1')
    path.write_text(path.read_text() + '{"id": "x"}\nhello\n[1]\n' + no_reward + unclear)
    with pytest.raises(TaskDataError) as refusal:
        read_items(path)
    assert str(refusal.value).startswith(f"{path}: expected lines with id, question,")
    for number in (2, 3, 4):
        assert f"line {number}: " in str(refusal.value)
    assert "line 5: got reward 'much', expected a number" in str(refusal.value)
    assert "line 6: got is_right 1, expected true or false" in str(refusal.value)


def test_an_empty_or_missing_file_is_refused(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(TaskDataError, match=r"empty\.jsonl: expected lines"):
        read_items(tmp_path / "empty.jsonl")
    with pytest.raises(TaskDataError, match=r"gone\.jsonl: the answers cannot be read"):
        read_items(tmp_path / "gone.jsonl")


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "answers.jsonl").mkdir()
    with pytest.raises(FileError, match=r"answers\.jsonl: cannot be written"):
        write_items(ITEMS, tmp_path / "answers.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]
