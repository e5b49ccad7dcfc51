"""Choices: keys, letters and digits that count options, texts, the same text twice."""

import pytest

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import Attempt, grade_choice, make_grader

METALS = {"A": "iron", "B": "gold", "C": "Zinc oxide", "D": "a cat"}
DIGITS = {"1": "iron", "2": "gold", "3": "zinc", "4": "tin", "5": "lead"}
TWICE = {"A": "iron", "B": "gold", "C": "Iron.", "D": "tin"}


@pytest.mark.parametrize(
    ("completion", "answer", "options", "right"),
    [
        ("gold", "B", METALS, True),
        ("Gold.", "B", METALS, True),
        ("The answer is gold.", "B", METALS, True),
        ("The answer is zinc oxide because gold is soft", "C", METALS, True),
        ("I think the answer is zinc oxide because gold is soft", "C", METALS, True),
        ("A cat sat. B", "B", METALS, True),
        ("It's a cat", "D", METALS, True),
        ("(B) gold", "B", METALS, True),
        ("B. gold", "B", METALS, True),
        ("B: gold, as A is hard", "B", METALS, True),
        ("A) iron\nB) gold\nC) zinc oxide\nThe answer is C.", "C", METALS, True),
        ("A) iron\nB) gold\nC) zinc oxide\nThe answer is C.", "A", METALS, False),
        ("A, B, C, D", "D", METALS, True),  # the last one
        ("A, B, C, D", "A", METALS, False),
        ("2", "B", METALS, True),  # a digit counts letters
        ("b", "B", METALS, True),
        ("**B**", "B", METALS, True),
        ("<think>A?</think>B", "B", METALS, True),
        ("<think>B", "B", METALS, False),
        ("The correct option is (C).", "C", METALS, True),
        ("The correct answer is option C.", "C", METALS, True),
        ("It can't be A. So B.", "B", METALS, True),
        ("The answer is B, not C", "B", METALS, True),
        ("F", "A", METALS, False),
        ("", "A", METALS, False),
        ("none of them", "A", METALS, False),
        ("2", "2", DIGITS, True),
        ("5", "5", DIGITS, True),
        ("E", "5", DIGITS, True),
        ("lead", "5", DIGITS, True),
        ("(3)", "3", DIGITS, True),
        ("The answer is 4.", "4", DIGITS, True),
        ("A", "C", TWICE, True),
        ("C", "A", TWICE, True),
        ("iron", "C", TWICE, True),
        ("B", "C", TWICE, False),
        ("B", "gold", METALS, True),  # the reference as a text
        ("yes", "A", {"A": "yes", "B": "no"}, True),
        ("C", "C", {"A": "yes", "B": "no", "C": "unsure"}, True),
    ],
)
def test_a_completion_names_its_option(completion, answer, options, right):
    assert grade_choice(completion, answer, options).is_right == right


@pytest.mark.parametrize("answer", ["A", "B", "C", "D"])
@pytest.mark.parametrize("form", ["{}", "({})", "The answer is {}.", r"\boxed{{{}}}", "**{}**"])
def test_every_key_is_right_for_itself_alone(answer, form):
    for key, text in METALS.items():
        for said in (key, text):
            grade = grade_choice(form.format(said), answer, METALS)
            assert grade.is_right == (key == answer), (said, grade.reason)


def test_numbers_as_texts_are_keys_or_texts_as_the_setting_says():
    options = {"1": "2", "2": "4", "3": "6"}
    assert grade_choice("2", "2", options).is_right
    assert grade_choice("2", "1", options, by="text").is_right
    assert grade_choice("6", "3", options).is_right  # no key: a text


def test_without_options_the_keys_are_letters():
    assert grade_choice("The answer is (B).", "B", {}).is_right
    assert not grade_choice("The answer is (C).", "B", {}).is_right


def test_the_reason_names_both_options():
    reason = grade_choice("A", "B", METALS).reason
    assert reason == "got A (iron), expected B (gold)"


def test_options_of_the_grader_serve_all_rows():
    grader = make_grader("choice", options=["yes", "no"])
    grades = grader.grade([Attempt("q", "no", text) for text in ("No.", "yes", "B", "perhaps")])
    assert [grade.is_right for grade in grades] == [True, False, True, False]


@pytest.mark.parametrize("options", [{}, ["a"], "ab", 5, {"A": 1, "B": 2}, None])
def test_bad_options_are_refused_with_their_row(options):
    with pytest.raises(TaskDataError, match=r"^row 3: got options .*, expected 2 to 26 texts"):
        make_grader("choice").check("A", {"options": options}, "row 3")
