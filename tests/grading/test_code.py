"""Programs graded end to end: completion → program → sandbox → grade."""

import math

import pytest

from mlx_t2.errors import SandboxError, TaskDataError
from mlx_t2.grading import HIDDEN_FAILED, Attempt, make_code_grader
from mlx_t2.sandbox import sandbox_level

ROW = {
    "tests": ["assert double(2) == 4", "assert double(5) == 10"],
    "hidden_tests": ["assert double(7) == 14"],
}
RIGHT = "```python\ndef double(n):\n    return 2 * n\n```"


def grade(completion: str, row=ROW):
    (found,) = make_code_grader(allow_unsandboxed=True).grade(
        [Attempt("q", "", completion, row)]
    )
    return found


def wrap(body: str) -> str:
    return f"```python\n{body}\n```"


def test_a_program_that_passes_is_right_and_says_how_many():
    found = grade(RIGHT)
    assert (found.reward, found.is_right, found.reason) == (1, True, "passed 3 of 3")
    assert found.is_strict


def test_a_program_in_no_plain_block_is_right_and_not_strict():
    found = grade("[BEGIN]\ndef double(n):\n    return 2 * n\n[DONE]")
    assert found.is_right
    assert not found.is_strict
    assert found.is_lenient


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("", "no program found"),
        ("It doubles n.", "no program found"),
        (wrap("def triple(n):\n    return 3 * n"), "no program found"),
        (wrap("def double(n):\n    m = 2\n    return (m"), "SyntaxError line 3"),
        (wrap("def double(n):\n    return n + 3"), "double(2): got 5, expected 4"),
        (wrap("def double(n):\n    return n ** 2"), "double(5): got 25, expected 10"),
        (wrap("def double(n):\n    return '4'"), "double(2): got '4', expected 4"),
        (wrap("def double(n):\n    pass"), "double(2): got None, expected 4"),
        (wrap("def double(n):\n    return m"), "NameError: name 'm' is not defined"),
        (wrap("def double():\n    return 4"), "TypeError: double() takes 0"),
        (wrap("def double(n):\n    while True: pass"), "timeout after 1 s"),
        (wrap("def double(n):\n    return 10 ** 5000"), "double(2): got a number of thousands"),
        (wrap("raise ValueError('no')\ndef double(n):\n    return 2 * n"), "ValueError: no"),
    ],
)
def test_a_wrong_program_says_what_it_did(completion, reason):
    found = grade(completion, {**ROW, "cpu_s": 1})
    assert (found.reward, found.is_right) == (0, False)
    assert found.reason.startswith(reason)


def test_what_passes_only_the_shown_tests_is_rewarded_and_not_right():
    found = grade(wrap("def double(n):\n    return {2: 4, 5: 10}.get(n)"))
    assert (found.reward, found.is_right, found.is_strict) == (1, False, False)
    assert found.reason == f"{HIDDEN_FAILED}: double(7): got None, expected 14"


@pytest.mark.parametrize(
    "body", ["return {2: 4, 5: 10}[n]", "return 2 * n if n < 6 else exit()"]
)
def test_a_fault_in_the_hidden_test_alone_is_rewarded_and_not_right(body):
    found = grade(wrap(f"def double(n):\n    {body}"))
    assert (found.reward, found.is_right) == (1, False)
    assert found.reason.startswith(HIDDEN_FAILED)


ANY = "class A:\n    __eq__ = lambda s, o: True\n    __bool__ = lambda s: True\n"
ATTACKS = {
    "equals everything": ANY + "def double(n): return A()",
    "a list of what equals everything": ANY + "def double(n): return [A()]",
    "a number that equals everything": (
        "class I(int):\n    __eq__ = lambda s, o: True\n    __hash__ = int.__hash__\n"
        "def double(n): return I(1)"
    ),
    "arithmetic that gives zero": (
        "class Z:\n    __sub__ = __rsub__ = __abs__ = lambda s, *o: 0\n"
        "    __lt__ = lambda s, o: True\n"
        "def double(n): return Z()"
    ),
    "patched builtins": (
        "import builtins\nbuiltins.all = builtins.any = builtins.isinstance = lambda *a: True\n"
        "builtins.AssertionError = ValueError\ndef double(n): return 0"
    ),
    "exit at import": "import sys\nsys.exit(0)\ndef double(n): return 0",
    "exit in the function": "def double(n):\n    import os\n    os._exit(0)",
    "a forged verdict on every stream": (
        "import os, sys\n"
        "def double(n):\n    print('PASSED', 'passed 3 of 3', True, flush=True)\n"
        "    for fd in range(1, 32):\n        try: os.write(fd, b'{\"passed\": true}\\n')\n"
        "        except OSError: pass\n    return True"
    ),
    "a walk up the frames": (
        "import sys\ndef double(n):\n    frame = sys._getframe()\n    while frame:\n"
        "        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:\n"
        "            if value in (4, 10, 14): return value\n        frame = frame.f_back\n"
    ),
    "all objects of the process": (
        "import gc\ndef double(n):\n"
        "    texts = [o for o in gc.get_objects() if isinstance(o, str)]\n"
        "    return 4 if any('== 4' in t for t in texts) else None"
    ),
    "its own tests": (
        "def double(n): return 0\ndef check(c): pass\nMETADATA = {}\ncheck(double)"
    ),
    "a number that is not one": "def double(n): return float('nan')",
    "a patched serialiser": (
        "import json, pickle, struct\njson.dumps = repr = lambda *a: '4'\n"
        "pickle.dumps = struct.pack = lambda *a: b'4'\ndef double(n): return 0"
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_earns_nothing_and_harms_nobody(name):
    grader = make_code_grader(allow_unsandboxed=True)
    wrong = wrap("def double(n):\n    return n")
    completions = [wrap(ATTACKS[name]), RIGHT, wrong]
    grades = grader.grade([Attempt("q", "", text, ROW) for text in completions])
    assert [found.reward for found in grades] == [0, 1, 0], grades[0].reason


def test_what_equals_everything_does_not_pass_tests_of_other_forms():
    for test in ("double(2)", "not double(2)", "double(2) is True", "double(2) != 3"):
        row = {"tests": "assert " + test}
        assert not grade(wrap(ANY + "def double(n): return A()"), row).reward
    tests = "import math\nassert abs(double(2) - 4) < 1e-6\nassert math.isclose(double(2), 4)"
    assert not grade(wrap(ATTACKS["arithmetic that gives zero"]), {"tests": tests}).reward
    assert grade(RIGHT, {"tests": tests}).reward


def test_an_echo_of_the_prompt_is_not_an_answer():
    shown = "\n".join(ROW["tests"])
    assert grade(f"```python\n{shown}\n```").reason == "no program found"
    assert grade(f"{wrap(shown)}\n{RIGHT}\n{wrap(shown)}").is_right


def test_many_answers_are_one_answer():
    every = "\n".join(wrap(f"def double(n):\n    return {n}") for n in range(20))
    assert grade(every + "\n" + RIGHT).reward == 0


def test_setup_runs_between_the_program_and_its_tests():
    row = {"tests": "assert total(root) == 3", "setup": "root = Node(1)\r\nroot.next = Node(2)"}
    program = (
        "class Node:\n    def __init__(self, n):\n        self.n, self.next = n, None\n"
        "def total(node):\n    return node.n + total(node.next) if node else 0"
    )
    assert grade(wrap(program), row).reason == "passed 1 of 1"
    assert grade(wrap("def total(node):\n    return 3"), row).reason.startswith("NameError")


def test_expected_values_that_are_no_literals_are_found_without_the_candidate():
    row = {"tests": ["assert f(2) == [0] * 3", "assert f(2) == list(map(abs, (0, 0, 0)))"]}
    cheat = "import builtins\nbuiltins.map = lambda f, x: [1]\nbuiltins.list = lambda x: [1]\n"
    assert grade("def f(n): return [0, 0, 0]", row).reason == "passed 2 of 2"
    assert grade(cheat + "def f(n): return [1]", row).reward == 0
    near = {"tests": "assert abs(f(2) - math.pi) < 1e-9"}
    assert grade(f"def f(n): return {math.pi!r}", near).is_right
    found = grade("def f(n): return 3", near)
    assert found.reason == "f(2): got 3, expected math.pi within 1e-09"


def test_a_body_goes_on_with_the_rows_beginning():
    row = {
        "tests": "def check(candidate):\n    assert candidate(2) == 4\ncheck(double)\n",
        "beginning": "from math import prod\n\n\ndef double(n):\n    'Doubles.'\n",
    }
    for completion in ("    return prod([n, 2])", "return prod((2, n))", RIGHT):
        assert grade(completion, row).reason == "passed 1 of 1"


def test_grades_keep_the_order_of_the_attempts():
    others = [wrap(f"def double(n):\n    return {n} * n") for n in range(4)]
    attempts = [Attempt("q", "", text, ROW) for text in [*others, "", RIGHT, *others]]
    grades = make_code_grader(allow_unsandboxed=True).grade(attempts)
    assert [g.reward for g in grades] == [0, 0, 1, 0, 0, 1, 0, 0, 1, 0]


def test_begin_returns_at_once_and_waits_when_asked():
    grader = make_code_grader(allow_unsandboxed=True)
    assert grader.begin is not None
    slow = wrap("import time\ndef double(n):\n    time.sleep(0.2)\n    return 2 * n")
    waits = [grader.begin([Attempt("q", "", text, ROW)]) for text in (slow, RIGHT, "")]
    assert [found.reason for wait in reversed(waits) for found in wait()] == [
        *("no program found", "passed 3 of 3", "passed 3 of 3")
    ]


def test_an_own_column_holds_the_tests():
    (found,) = make_code_grader("checks", allow_unsandboxed=True).grade(
        [Attempt("q", "", RIGHT, {"checks": "assert double(1) == 2"})]
    )
    assert found.reason == "passed 1 of 1"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "got the columns none, expected 'tests' with the tests of a program"),
        ({"answer": "4"}, "got the columns answer, expected 'tests'"),
        ({"tests": 5}, "tests: got 5, expected asserts in a list, or one text"),
        ({"tests": "assert double(2"}, r"tests: line 1: got '\(' was never closed, expected"),
        ({"tests": "assert 1 == 1"}, "tests: got 'assert 1 == 1', expected a call"),
        ({**ROW, "setup": 5}, r"setup: got 5 \(int\), expected a text"),
        ({**ROW, "setup": "x ="}, "setup: line 1: got invalid syntax, expected Python"),
        ({**ROW, "entry_point": ["f"]}, r"entry_point: got \['f'\] \(list\), expected a text"),
        ({**ROW, "cpu_s": "2"}, r"cpu_s: got '2' \(str\), expected seconds"),
        ({**ROW, "cpu_s": 0}, r"cpu_s: got 0 \(int\), expected seconds"),
        ({"tests": "assert double(2) == int('x')"}, r"tests: int\('x'\) gave ValueError"),
        ({"tests": "assert double(2) == object()"}, r"tests: object\(\) is <object>, exp"),
    ],
)
def test_a_row_without_usable_tests_is_one_line(row, message):
    with pytest.raises(TaskDataError, match=message) as caught:
        grade(RIGHT, row)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sandbox_level() != "limits", reason="programs are held here")
def test_where_only_limits_hold_programs_nothing_is_graded():
    with pytest.raises(SandboxError, match="allow-unsandboxed"):
        make_code_grader().grade([Attempt("q", "", RIGHT, ROW)])


WHOLE = {
    "tests": "for n in range(3):\n    assert double(n) == 2 * n, f'not for {n}'",
    "hidden_tests": "for n in range(9):\n    assert double(n) == n + n",
}


@pytest.mark.parametrize(
    ("body", "reward", "is_right", "reason"),
    [
        ("return 2 * n", 1, True, "passed its tests"),
        ("return n", 0, False, "AssertionError: not for 1"),
        ("return 2 * n if n < 3 else 0", 1, False, f"{HIDDEN_FAILED}: AssertionError"),
        ("raise ValueError(n)", 0, False, "ValueError: 0"),
        ("while True: pass", 0, False, "timeout after 1 s"),
        ("import os; os._exit(0)", 0, False, ""),
        ("return type('A', (), {'__eq__': lambda s, o: True})()", 0, False, "AssertionError"),
    ],
)
def test_tests_that_do_not_split_run_beside_the_program(body, reward, is_right, reason):
    found = grade(wrap(f"def double(n):\n    {body}"), {**WHOLE, "cpu_s": 1})
    assert (found.reward, found.is_right) == (reward, is_right)
    assert found.reason.startswith(reason)


def test_a_program_does_not_find_the_tests_that_run_beside_it():
    for name in ("a walk up the frames", "all objects of the process", "patched builtins"):
        assert grade(wrap(ATTACKS[name]), WHOLE).reward == 0
