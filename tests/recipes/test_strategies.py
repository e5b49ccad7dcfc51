"""What the comparison of strategies is made of, without the default model."""

import math

import mlx.core as mx
import pytest
from helpers import assert_close

from mlx_t2.errors import ConfigError, TaskDataError
from mlx_t2.experts import Expert
from mlx_t2.recipes import strategies
from mlx_t2.recipes.merging import merge_ties, mix_as_reference
from mlx_t2.recipes.strategies import TEST, Bench
from mlx_t2.recipes.strategies_page import strategies_section
from mlx_t2.recipes.unseen import make_unseen


def expert(*z):
    return Expert("e", {"up": mx.array(z)}, "tiny", "ab12", "up", None, "t", 0, {}, {})


def test_ties_keeps_the_largest_and_the_sign_of_most():
    one, other = expert(2.0, 1.1, 0.5, 1.0, 1.0), expert(1.4, 1.0, 1.6, 1.0, 1.2)
    # three of five kept: δ = (1, .1, -.5), (.4, .6, .2); signs of the sums +, +, +, +
    assert_close(merge_ties([one, other], 0.6)["up"], mx.array([1.7, 1.1, 1.6, 1.0, 1.2]))


def test_the_reference_rule_leaves_the_base_and_amplifies_what_differs():
    s = {"up": mx.array([4.0, 1.0])}
    assert_close(mix_as_reference([expert(1.0, 1.0)], [1.0], s)["up"], mx.ones(2))
    z = mix_as_reference([expert(1.1, 1.0)], [1.0], s)["up"]
    half = 1 / (1 + math.exp(-0.1))
    p = [math.log(half * c / (1 - half * c)) for c in (1.1, 1.0)]
    total = 5 / (4 * p[0] + p[1])
    assert_close(z, mx.array([p[0] * total, p[1] * total]))
    assert float(z[0] / z[1]) > 3  # where the expert says 1.1


def test_the_unseen_domain_is_graded_by_value():
    task = make_unseen(())
    splits = {split: task.problems(split, 100) for split in ("train", "test")}
    ids = {split: {problem.id for problem in drawn} for split, drawn in splits.items()}
    assert not ids["train"] & ids["test"]
    problem = splits["test"][0]
    a, b, c = problem.answer.removeprefix("max(").removesuffix(")").split(", ")
    assert problem.messages[-1]["content"] == f"the largest of the numbers {a}, {b} and {c}"
    tried = [f"max({c}, {a}, {b})", f"max([{a}, {b}, {c}])", f"max({a}, {b})", a, "import os"]
    grades = task.grade([(problem, text) for text in tried])
    assert [grade.is_right for grade in grades] == [True, True, False, False, False]


def test_a_name_that_is_the_largest_by_chance_is_wrong():
    task = make_unseen(())
    problems = task.problems("test", 60)
    names = [p.answer.removeprefix("max(").removesuffix(")").split(", ") for p in problems]
    tried = [
        (problem, text)
        for problem, (a, b, c) in zip(problems, names, strict=True)
        for text in (a, b, c, f"max({a}, {b})", f"max({b}, {c})", f"{a} if {a} > {b} else {b}")
    ]
    assert not any(grade.is_right for grade in task.grade(tried))
    right = [(p, f"max([{c}, {b}, {a}])") for p, (a, b, c) in zip(problems, names, strict=True)]
    assert all(grade.is_right for grade in task.grade(right))


def test_a_domain_of_fewer_problems_is_answered_whole(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(strategies, "evaluate", lambda *_, limit: asked.append(limit) or ())
    monkeypatch.setattr(strategies, "read_items", lambda path: [])
    monkeypatch.setattr(Bench, "__init__", lambda *_: None)
    monkeypatch.setattr(Bench, "_strategy", lambda *_: (None, None))
    bench, task = Bench(tmp_path), make_unseen(())
    bench.runs, bench.model = tmp_path, None
    (tmp_path / "answers").mkdir()
    bench.answer("none", task)
    bench.answer("none", task)  # what is on disk has too few problems: asked again
    assert len(asked) == 2
    assert len(set(asked)) == 1
    assert len(task.problems("test", asked[0])) < TEST
    with pytest.raises(TaskDataError):
        task.problems("test", asked[0] + 1)


def test_answers_under_another_expert_are_not_gone_on_with(tmp_path):
    strategies._put(tmp_path / "experts/kind.safetensors", b"one")
    strategies._put(tmp_path / "experts/kind.safetensors", b"one")
    with pytest.raises(ConfigError, match="got another expert"):
        strategies._put(tmp_path / "experts/kind.safetensors", b"another")


def test_a_table_has_n_interval_and_the_paired_test():
    paired = {"fixed": 3, "broken": 9, "p": 0.146}
    row = {"correct": 30, "n": 60, "interval": [0.377, 0.623], "against_auto": paired}
    rows = {"sum": row | {"by_task": [10, 20]}, "auto": row | {"by_task": [15, 15]}}
    found = {
        "command": "make strategies",
        "machine": "2 cores",
        "commit": "abc",
        "model": "tiny",
        "form": "bare",
        "n": 30,
        "search": {"shots": 8, "population": 16, "iterations": 5},
        "climb": {"iterations": 15},
        "known": rows,
        "unseen": {},
        "first_pass_ms": {"auto": 12.5},
    }
    text = strategies_section(found)
    assert "| sum | 60 | 50.0 (38-62) | 33.3, 66.7 | 3, 9 | 0.15 |" in text
    assert "| auto | 60 | 50.0 (38-62) | 50.0, 50.0 |  |  |" in text
    assert "`make strategies` on 2 cores, commit abc" in text
    assert "30 test problems of each domain, or all that there are, seed 0, asked bare" in text
    assert "auto 12.5" in text


@pytest.mark.parametrize("form", ["bare", "shared"])
def test_an_empty_table_is_written_too(form):
    blank = {"search": {"shots": 1, "population": 1, "iterations": 1}}
    keys = dict.fromkeys(("command", "machine", "commit", "model", "n"), "x")
    found = keys | blank | {"climb": {"iterations": 1}, "form": form}
    assert strategies_section(found | {"known": {}, "unseen": {}, "first_pass_ms": {}})
