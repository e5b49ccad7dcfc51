"""Evaluations that are kept in a file, stopped, and go on."""

import json
from dataclasses import replace

import pytest
from even_length import EvenLength, Everywhere, OfItsOwn

from mlx_t2.adaptation import Fixed
from mlx_t2.errors import FileError, TaskDataError
from mlx_t2.evaluation import Asked, evaluate, evaluate_into, read_items

ASKED = Asked(limit=20, batch=4)


def into(path, model, asked=ASKED, task=None, strategy=None):
    return evaluate_into(path, model, task or EvenLength(), strategy or Fixed.base(), asked)


def plain(items):
    return sorted((replace(item, fingerprint="") for item in items), key=lambda one: one.id)


class Counting(EvenLength):
    """Counts what it grades."""

    def __init__(self):
        self.graded = 0

    def grade(self, attempts):
        self.graded += len(attempts)
        return super().grade(attempts)


def test_the_file_has_what_was_seen_in_the_order_of_the_task(tiny_model, tmp_path):
    path = tmp_path / "new" / "answers.jsonl"
    seen = list(into(path, tiny_model))
    kept = read_items(path)
    assert [item.id for item in kept] == [f"even/0-{i}" for i in range(20)]
    assert plain(seen) == plain(kept)
    assert plain(kept) == plain(evaluate(tiny_model, EvenLength(), Fixed.base(), limit=20))
    assert len({item.fingerprint for item in kept}) == 1


@pytest.mark.parametrize("asked", [ASKED, Asked(limit=20, samples=2, temperature=1.0, batch=4)])
def test_a_stopped_evaluation_goes_on_to_the_same_bytes(tiny_model, tmp_path, asked):
    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    list(into(whole, tiny_model, asked))
    lines = whole.read_text().splitlines(keepends=True)
    for torn in ("", '{"id": "even/0-', '{"id": "even/0-19"}', "\n\n"):
        stopped.write_text("".join(lines[3:9]) + torn)  # of 2 samples: one problem lacks one
        task = Counting()
        seen = list(into(stopped, tiny_model, asked, task))
        assert stopped.read_bytes() == whole.read_bytes(), torn
        assert len(seen) == 20 * asked.samples
        assert task.graded == len(seen) - (6 if asked.samples == 1 else 4)


def test_an_answer_is_on_disk_when_it_is_seen(tiny_model, tmp_path):
    path = tmp_path / "answers.jsonl"
    items = into(path, tiny_model, replace(ASKED, limit=60))
    first = next(items)
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["id"] for line in kept] == [first.id]
    items.close()
    assert tiny_model.worn == {}
    task = Counting()
    assert len(list(into(path, tiny_model, replace(ASKED, limit=60), task))) == 60
    assert task.graded == 59


def test_a_whole_file_is_read_and_nothing_is_answered(tiny_model, tmp_path):
    path = tmp_path / "answers.jsonl"
    seen, task = list(into(path, tiny_model)), Counting()
    assert plain(into(path, tiny_model, task=task)) == plain(seen)
    assert task.graded == 0


def test_more_problems_go_on_from_fewer_and_not_the_other_way(tiny_model, tmp_path):
    path, task = tmp_path / "answers.jsonl", Counting()
    list(into(path, tiny_model))
    assert len(list(into(path, tiny_model, replace(ASKED, limit=25), task))) == 25
    assert task.graded == 5
    with pytest.raises(TaskDataError, match=r"even/0-20 is not among the 20 problems"):
        list(into(path, tiny_model))


class Renamed(EvenLength):
    name = "uneven"


class Worded(EvenLength):
    def problems(self, split, n, seed=0):
        return [
            replace(problem, messages=({"role": "user", "content": "?"},))
            for problem in super().problems(split, n, seed)
        ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"asked": replace(ASKED, seed=1)}, "with seed 0, expected 1. Name another --out"),
        ({"asked": replace(ASKED, split="train")}, "with split 'test', expected 'train'"),
        ({"asked": replace(ASKED, temperature=0.5)}, "with temperature 0.0, expected 0.5"),
        ({"task": Renamed()}, "with task 'even', expected 'uneven'"),
        ({"task": Worded()}, "even/0-0 is not among the 20 problems that are asked"),
    ],
)
def test_a_file_of_another_evaluation_is_refused_and_left_alone(
    tiny_model, tmp_path, change, fault
):
    path = tmp_path / "answers.jsonl"
    list(into(path, tiny_model))
    before = path.read_bytes()
    with pytest.raises(TaskDataError) as refusal:
        list(into(path, tiny_model, **change))
    assert fault in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == before


def test_other_scales_of_the_same_name_are_another_evaluation(tiny_model, tmp_path):
    path, strategy = tmp_path / "answers.jsonl", Everywhere(tiny_model)
    list(into(path, tiny_model, strategy=strategy))
    list(into(path, tiny_model, strategy=strategy))
    strategy.scales = {layer: 2 * z for layer, z in strategy.scales.items()}
    with pytest.raises(TaskDataError, match="its answers are of other weights of the"):
        list(into(path, tiny_model, strategy=strategy))


def test_mixtures_made_for_each_request_go_on(tiny_model, tmp_path):
    path, strategy = tmp_path / "answers.jsonl", OfItsOwn(tiny_model)
    whole = list(into(path, tiny_model, strategy=strategy))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:7]))
    assert plain(into(path, tiny_model, strategy=strategy)) == plain(whole)


@pytest.mark.parametrize(
    "content",
    ["hello\n", '{"prompt": "a"}\n{"prompt": "b"}\n', "[]\n[]\n", '{"prompt": "a"}\n'],
)
def test_a_file_of_something_else_is_left_alone(tiny_model, tmp_path, content):
    path = tmp_path / "mine.jsonl"
    path.write_text(content)
    with pytest.raises(TaskDataError, match=r"mine\.jsonl: line 1: got .* Name another --out"):
        list(into(path, tiny_model))
    assert path.read_text() == content


def test_a_folder_is_refused(tiny_model, tmp_path):
    with pytest.raises((TaskDataError, FileError), match="got a folder, expected a file"):
        list(into(tmp_path, tiny_model))
