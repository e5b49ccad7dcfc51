"""Any text: graders never raise, take under 50 ms, say why, and keep a batch in order."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlx_t2.grading import (
    Attempt,
    Grade,
    grade_choice,
    grade_contains,
    grade_exact,
    grade_math,
    grade_number,
    make_grader,
)

LIMIT_S = 0.05
OPTIONS = {"A": "iron", "B": "gold", "C": "5", "D": "x^2"}
GRADERS = {
    "number": lambda text: grade_number(text, "84", form="boxed"),
    "math": lambda text: grade_math(text, r"\frac{1}{2}", may_ask=False),
    "list": lambda text: grade_math(text, r"1, (2,3], x<5, \sqrt{2}", may_ask=False),
    "choice": lambda text: grade_choice(text, "B", OPTIONS),
    "exact": lambda text: grade_exact(text, "84", ignore_case=True),
    "contains": lambda text: grade_contains(text, "84", ignore_case=True),
    "reference": lambda text: grade_math("5", text, may_ask=False),
    "number reference": lambda text: grade_number("5", text),
}
WORDS = (
    r"\boxed{ \frac \sqrt { } ( ) [ ] | $ ^ _ \ ! #### Answer: <answer> </think> <think> = < "
    r"\leq 1 23 , . / - + x A B \pm \cup \text{ e5 10^ % ½ − ５ \\ & : \begin{pmatrix}"
)
PIECES = [*WORDS.split(), "answer is ", "not ", " ", "\n", "\u202f", r"\end{pmatrix}"]
STALLS = {  # attacks 27 to 30
    "braces": "{" * 100_000,
    "closed braces": "{" * 50_000 + "}" * 50_000,
    "boxes": r"\boxed{" * 15_000,
    "nested boxes": r"\boxed{" * 1000 + "5" + "}" * 1000,
    "many boxes": "".join(rf"\boxed{{{n}}}" for n in range(2000)),
    "digits": "7" * 1_000_000,
    "boxed digits": rf"\boxed{{{'7' * 10_000}}}",
    "commas": "1," * 100_000,
    "ones in a box": rf"\boxed{{{'1,' * 400}1}}",
    "spaced thousands": "1 000" * 20_000,
    "tower": r"\boxed{9^{9^{9^9}}}",
    "deep tower": rf"\boxed{{{'9^{' * 100}9{'}' * 100}}}",
    "factorial": r"\boxed{1000000!}",
    "factorials": rf"\boxed{{{'5!' + '!' * 200}}}",
    "power of ten": r"\boxed{10^{10^8}}",
    "exponent": r"\boxed{1e999999999}",
    "sum": r"\boxed{\sum_{k=1}^{10^9}k}",
    "parentheses": rf"\boxed{{{'(' * 400}5{')' * 400}}}",
    "products": rf"\boxed{{{'x' * 900}}}",
    "fractions": r"\boxed{" + r"\frac" * 150 + "}",
    "plus minus": r"\boxed{" + r"\pm 1," * 140 + "}",
    "answers": "the answer is " * 2000,
    "answers are": "answer " * 3000,
    "hashes": "#### 1\n" * 3000,
    "signs": "-" * 100_000,
    "spaces": " " * 1_000_000,
    "lines": "\n" * 1_000_000,
    "dollars": "$" * 100_000,
    "backslashes": "\\" * 100_000,
    "keys": "A B C D " * 10_000,
    "letters": "a" * 1_000_000,
    "dots": "1." * 50_000,
    "slashes": "1/" * 50_000,
    "tags": "<answer>" * 5000,
    "texts": r"\text{" * 5000,
    "equals": "x=" * 10_000,
    "all numbers": " ".join(map(str, range(5000))),
}


def measure(grade, text) -> tuple[Grade, float]:
    """The grade and the least processor time of two tries [s]: the clock of a busy machine says
    nothing of a grader.
    """
    times = []
    for _ in range(2):
        start = time.process_time()
        got = grade(text)
        times.append(time.process_time() - start)
        if times[-1] < LIMIT_S:
            break
    return got, min(times)


@pytest.mark.whole_runs
@pytest.mark.parametrize("name", GRADERS)
@given(text=st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=60).map("".join)))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_earns_a_grade_in_under_50_ms(name, text):
    grade, seconds = measure(GRADERS[name], text)
    assert grade.reward in (0.0, 1.0)
    assert grade.reason
    assert seconds < LIMIT_S


@pytest.mark.whole_runs
@pytest.mark.parametrize("name", GRADERS)
@pytest.mark.parametrize("stall", STALLS)
def test_no_text_stalls_a_grader(name, stall):
    grade, seconds = measure(GRADERS[name], STALLS[stall])
    assert seconds < LIMIT_S
    assert not (grade.is_right and name in ("number", "math", "list", "exact"))


def test_many_answers_count_as_the_last_and_are_not_strict():
    text = " ".join(rf"\boxed{{{n}}}" for n in range(12))
    grade = grade_number(text, "11", form="boxed")
    assert (grade.is_right, grade.is_strict) == (True, False)
    assert not grade_number(text, "5").is_right
    every = " ".join(map(str, range(101)))
    assert not grade_number(every, "84").is_right


def test_an_echo_of_the_question_is_not_an_answer():
    echo = "Question: 3 boxes of 14. #### 42\nQuestion: 7 times 12?\nThe answer is 19."
    assert not grade_number(echo, "42").is_right
    assert not grade_number("#### 42 is an example. \\boxed{", "42").is_right


@given(texts=st.lists(st.text(max_size=30), max_size=8))
@settings(max_examples=50, deadline=None)
@pytest.mark.parametrize("name", ["number", "choice", "exact", "contains"])
def test_a_batch_keeps_its_length_and_order(name, texts):
    row = {"options": OPTIONS}
    answer = {"choice": "B"}.get(name, "84")
    marked = [f"{text}\nThe answer is gold.\n84" for text in texts]
    attempts = [Attempt("q", answer, text, row) for text in [*texts, *marked]]
    grader = make_grader(name)
    grades = grader.grade(attempts)
    assert len(grades) == len(attempts)
    assert grades == [grader.grade([attempt])[0] for attempt in attempts]
