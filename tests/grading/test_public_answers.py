"""Graders on public data: references are right, wrong answers are not.

Rows are read as JSON, not by the tasks. The controls are answers of other rows, the sign
flipped and one more; an answer that happens to be the same is not a control.
"""

import json
import os
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest

from mlx_t2.grading import grade_math, grade_number, read_math_reference

FOLDER = os.environ.get("MLX_T2_DATA")
ALLOWED = 0.001
"""Share of wrong answers that may be accepted."""

pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="MLX_T2_DATA names no folder with the public data"),
    pytest.mark.whole_runs,
]


def read_rows(name, split):
    assert FOLDER is not None
    with open(Path(FOLDER) / name / f"{split}.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_golds(split):
    """Whole solutions, and what follows their last ####, by other means than the grader's."""
    solutions = [row["answer"] for row in read_rows("openai--gsm8k", split)]
    return solutions, [text.rpartition("####")[2].strip() for text in solutions]


@pytest.mark.parametrize(("split", "n"), [("test", 1319), ("train", 7473)])
def test_every_gsm8k_solution_is_right_and_in_its_form(split, n):
    solutions, golds = read_golds(split)
    assert len(solutions) == n
    for reference in (golds, solutions):  # the answer alone, or the whole solution
        grades = [
            grade_number(text, gold, form="####")
            for text, gold in zip(solutions, reference, strict=True)
        ]
        wrong = [at for at, g in enumerate(grades) if not (g.is_right and g.is_strict)]
        assert wrong == []


@pytest.mark.parametrize("split", ["test", "train"])
@pytest.mark.parametrize("form", ["#### {}", r"so \boxed{{{}}}.", "The answer is ${}."])
def test_wrong_gsm8k_answers_are_wrong(split, form):
    _, golds = read_golds(split)
    values = [Fraction(gold.replace(",", "")) for gold in golds]
    shuffled = Random(0).sample(values, len(values))
    controls = [
        (got, gold)
        for value, other, gold in zip(values, shuffled, golds, strict=True)
        for got in (other, -value, value + 1, value - 1, value * 10, value / 10)
        if got != value
    ]
    accepted = [
        (str(got), gold)
        for got, gold in controls
        if grade_number(form.format(got), gold).is_right
    ]
    assert accepted == []


def test_every_solution_of_math_is_right_by_its_last_box():
    rows = read_rows("EleutherAI--hendrycks_math", "test")
    assert len(rows) == 5000
    references = [read_math_reference(row["solution"]) for row in rows]
    grades = [
        grade_math(row["solution"], reference, "boxed", may_ask=False)
        for row, reference in zip(rows, references, strict=True)
    ]
    wrong = [references[at] for at, grade in enumerate(grades) if not grade.is_right]
    assert wrong == []


KNOWN = {  # accepted among the controls, and rightly so: other words for the same answer
    ("4", "b=4"),
    (r"10\;\text{edges}", "10"),
    ("40", r"40^\circ"),
}


def test_wrong_answers_to_math_are_wrong():
    rows = read_rows("EleutherAI--hendrycks_math", "test")
    references = [read_math_reference(row["solution"]) for row in rows]
    shuffled = Random(0).sample(references, len(references))
    accepted, n = [], 0
    for reference, other in zip(references, shuffled, strict=True):
        controls = [other, f"{reference}+1"]
        if reference.strip("$").isdigit() and reference != "0":
            controls += [f"-{reference}", str(int(reference) + 1)]
        for got in controls:
            if "".join(got.split()) == "".join(reference.split()):
                continue
            n += 1
            if grade_math(rf"\boxed{{{got}}}", reference, may_ask=False).is_right:
                accepted.append((got, reference))
    unknown = [pair for pair in accepted if pair not in KNOWN]
    assert len(unknown) <= ALLOWED * n, unknown
    assert unknown == []
