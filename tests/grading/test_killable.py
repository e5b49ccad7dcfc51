"""What may take for ever runs beside this process and is killed: patterns, and math-verify."""

import os
import threading
import time
from importlib.util import find_spec

import pytest

from mlx_t2.errors import ConfigError, SandboxError, TaskDataError
from mlx_t2.grading import Attempt, grade_math, grade_regex, make_grader
from mlx_t2.grading.equivalence import is_equal
from mlx_t2.grading.killable import Killable, TookTooLong

BOMB = "(a+)+$"
needs_math_verify = pytest.mark.skipif(
    find_spec("math_verify") is None, reason="math-verify, the extra `math`, is not installed"
)


def test_a_pattern_that_never_ends_is_a_wrong_answer_and_the_next_one_is_graded():
    grade = grade_regex("a" * 60 + "!", BOMB)
    assert (grade.is_right, grade.reason) == (
        False,
        "the pattern took over 1 s on this completion",
    )
    assert grade_regex("Result: 84", r"\b84\b").is_right


def test_a_pattern_captures_what_is_compared_and_the_last_match_counts():
    grader = make_grader("regex", pattern=r"Result: (-?\d+)")
    texts = ["Result: 84", "Result: 37. Result: 84", "Result: 84. Result: 37", "84", ""]
    grades = grader.grade([Attempt("q", "84", text) for text in texts])
    assert [grade.is_right for grade in grades] == [True, True, False, False, False]
    assert grades[2].reason == "got '37', expected '84'"


@pytest.mark.parametrize("pattern", ["(", "*", "", "a" * 1001, 5])
def test_a_setting_that_is_not_a_pattern_is_refused(pattern):
    with pytest.raises(ConfigError, match=r"grader regex: got pattern .*, expected a pattern"):
        make_grader("regex", pattern=pattern)


def test_a_reference_that_is_not_a_pattern_is_refused_with_its_row():
    with pytest.raises(TaskDataError, match=r"^row 2: got '\(', expected a pattern: missing"):
        make_grader("regex").check("(", {}, "row 2")


def test_threads_share_a_process_and_get_their_own_answers():
    process, got = Killable("pattern"), {}

    def ask(n):
        got[n] = process.ask({"pattern": r"\d+", "text": f"number {n}"}, 5)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {n: str(n) for n in range(20)}


def test_a_process_that_was_killed_from_outside_is_started_again():
    process = Killable("pattern")
    assert process.ask({"pattern": "a", "text": "a"}, 5) == "a"
    assert process._process is not None
    os.kill(process._process.pid, 9)
    with pytest.raises(TookTooLong):
        process.ask({"pattern": "a", "text": "a"}, 5)
    assert process.ask({"pattern": "a", "text": "a"}, 5) == "a"


def test_a_process_that_cannot_start_is_no_verdict():
    with pytest.raises(SandboxError, match="no process for nothing starts"):
        Killable("nothing").ask({}, 1)


@needs_math_verify
def test_math_verify_sees_what_we_do_not():
    got, expected = r"\int_0^1 2x \, dx", "1"
    assert is_equal(got, expected, may_ask=False) is None
    assert is_equal(got, expected)


@needs_math_verify
@pytest.mark.parametrize("text", [r"9^{9^{9^9}}", "1000000!", r"\sum_{k=1}^{10^9}k", "(" * 400])
def test_what_stalls_math_verify_is_wrong_soon(text):
    start = time.process_time()
    assert not grade_math(rf"\boxed{{{text}}}", "5").is_right
    assert time.process_time() - start < 1  # ours; the other process is ended at three seconds


@needs_math_verify
def test_math_verify_works_in_threads():
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(is_equal(r"\int_0^1 2x \, dx", "1")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [True] * 3


def test_without_math_verify_the_reason_says_that_it_would_see_more(monkeypatch):
    monkeypatch.setattr("mlx_t2.grading.equivalence.find_spec", lambda name: None)
    grade = grade_math(r"\boxed{\int_0^1 2x \, dx}", "1")
    assert not grade.is_right
    assert grade.reason.endswith("not equal as far as we can see; math-verify sees more")
