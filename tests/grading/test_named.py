"""Graders by name: every name, its settings, and what is refused."""

import pytest

from mlx_t2.errors import ConfigError, TaskDataError
from mlx_t2.grading import GRADER_NAMES, Attempt, make_grader


def grade(name, completion, answer, **settings):
    return make_grader(name, **settings).grade([Attempt("q", answer, completion)])[0]


@pytest.mark.parametrize("name", GRADER_NAMES)
def test_a_grader_says_its_rule_and_grades_nothing_as_nothing(name):
    grader = make_grader(name)
    assert grader.rule.startswith("1 ")
    assert grader.rule.endswith("else 0")
    assert grader.grade([]) == []


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "numbers",
            {},
            r"grader: got 'numbers' \(str\), expected one of exact, con",
        ),
        ("number", {"from": 1}, r"grader number: got setting 'from' \(str\), expected form"),
        (
            "number",
            {"form": "box"},
            r"grader number: got form 'box' \(str\), expected any or",
        ),
        ("number", {"form": []}, r"grader number: got form \[\] \(list\), expected any or"),
        (
            "exact",
            {"ignore_case": "no"},
            r"grader exact: got ignore_case 'no' \(str\), exp",
        ),
        (
            "choice",
            {"by": "letter"},
            r"grader choice: got by 'letter' \(str\), expected key",
        ),
    ],
)
def test_an_unknown_name_or_setting_is_one_line(name, settings, message):
    with pytest.raises(ConfigError, match=message) as error:
        make_grader(name, **settings)
    assert "\n" not in str(error.value)


def test_exact_and_contains():
    assert grade("exact", " Paris\n", "Paris").is_right
    assert not grade("exact", "paris", "Paris").is_right
    assert grade("exact", "paris", "Paris", ignore_case=True).is_right
    assert grade("contains", "It is Paris.", "Paris").is_right
    assert not grade("contains", "It is paris.", "Paris").is_right
    assert grade("contains", "It is PARIS.", "Paris", ignore_case=True).is_right
    assert not grade("contains", "<think>Paris?</think> Rome", "Paris").is_right
    assert grade("contains", "Rome", "Paris").reason == "got 'Rome', expected 'Paris' in it"


@pytest.mark.parametrize(
    ("name", "answer"),
    [("exact", " "), ("contains", ""), ("number", "x+1"), ("math", " "), ("choice", "Paris")],
)
def test_a_reference_that_nothing_can_equal_is_refused_with_its_row(name, answer):
    with pytest.raises(TaskDataError, match=r"^line 4: got .*, expected"):
        make_grader(name).check(answer, {}, "line 4")
