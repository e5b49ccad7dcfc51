"""Tests that run beside the program: what they can do, and what the program cannot."""

import re

import pytest

from mlx_t2.sandbox import Program, run_tests
from mlx_t2.sandbox.program import find_free_names

SOURCE = """
class Stack:
    size = 3
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item)
    def pop(self): return self.items.pop()
    def __iter__(self): return iter(self.items)
    def __len__(self): return len(self.items)
    def __getitem__(self, i): return self.items[i]
def count(stacks): return sum(len(s.items) for s in stacks)
def double(n):
    if n is None: raise ValueError("nothing to double")
    return 2 * n
def numbers(): yield from (1, 2)
"""


def passes(source, tests, **limits):
    return run_tests(source, tests, **limits).fault


@pytest.mark.parametrize(
    "tests",
    [
        "def check(f):\n    for i in range(30): assert f(i) == i + i\ncheck(double)",
        "s = Stack(); s.push(1); s.push([2]); assert s.pop() == [2] and list(s) == [1]",
        "s = Stack(); s.push(7); assert len(s) == 1 and s[0] == 7 and Stack.size == 3 and s",
        "s = Stack(); s.push(7); assert count([s, Stack()]) == 1",
        "assert list(numbers()) == [1, 2]",
        "try: double(None)\nexcept ValueError as e: assert 'nothing to' in str(e)\nelse: 1/0",
        "import random\nx = random.random(); assert abs(double(x) - 2 * x) < 1e-9",
        "assert double('a') == 'aa' and double(n=2) == 4",
    ],
)
def test_tests_call_the_program_as_if_it_was_there(tests):
    outcome = run_tests(SOURCE, tests)
    assert (outcome.values, outcome.fault) == ((True,), None)


@pytest.mark.parametrize(
    ("source", "tests", "fault"),
    [
        (SOURCE, "assert double(2) == 5", "AssertionError"),
        (SOURCE, "assert triple(2) == 6", "NameError: name 'triple' is not defined"),
        ("1 / 0", "assert True", "ZeroDivisionError: division by zero"),
        (SOURCE, "double(None)", "ValueError: nothing to double"),
        (SOURCE, "double(lambda: 1)", "TypeError: a function cannot be passed to the program"),
        (SOURCE, "Stack().size = 4", "AttributeError: 'size' of the program's object can.*"),
        (SOURCE, "def f(:", "SyntaxError: .*"),
        ("import os\ndef f(): os._exit(3)", "f()", r"ended before it had answered \(exit 3\)"),
        ("import os; os._exit(0)", "1", r"ended before it had answered \(exit 0\)"),
        ("def f(): raise SystemExit", "f()", "RuntimeError: SystemExit"),
        ("class E(Exception): pass\ndef f(): raise E('a')", "f()", "RuntimeError: E: a"),
    ],
)
def test_a_fault_is_told_in_one_line(source, tests, fault):
    found = passes(source, tests)
    assert found is not None
    assert re.fullmatch(fault, found)


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    __eq__ = lambda *_: True\ndef f(): return A()",
        "class I(int):\n    __eq__ = lambda *_: True\ndef f(): return I(0)",
        "abs = all = len = check = lambda *_: True\ndef f(): return 0",
        "import builtins\nbuiltins.AssertionError = KeyError\ndef f(): return 0",
        "import sys\ndef f():\n    n = sys._getframe()\n    return n",
        "import gc\ndef f(): return next((x for x in gc.get_objects() if x == 4711), 0)",
        "import os\nfor i in 3, 4, 5:\n    try: os.write(i, b'\\0\\0\\0\\6VT\\0\\0\\0\\0')\n"
        "    except OSError: pass\ndef f(): return 0",
        "import os\ndef f():\n    while True: os.write(4, b'a' * 9999)",
        "def f(): raise AssertionError",
        "def f(): raise SystemExit(0)",
    ],
)
def test_no_attack_passes_the_tests(source):
    tests = "assert abs(-1) == 1 and all([]) and len('ab') == 2 and f() == int('47') * 100 + 11"
    outcome = run_tests(source, tests, cpu_s=1, wall_s=2)
    assert outcome.values == ()
    assert outcome.fault
    assert run_tests(SOURCE, "assert double(2) == 4").fault is None


@pytest.mark.parametrize(
    ("source", "tests", "fault"),
    [
        ("def f():\n    while True: pass", "f()", "out of processor time (1 s)"),
        ("def f(): pass", "while True: pass", "out of processor time (1 s)"),
        ("import time\ndef f(): time.sleep(60)", "f()", "out of time (1 s)"),
    ],
)
def test_time_ends_tests_too(source, tests, fault):
    wall_s = 60 if "processor" in fault else 1
    outcome = run_tests(source, tests, cpu_s=1, wall_s=wall_s)
    assert (outcome.fault, outcome.is_timeout) == (fault, True)


def test_tests_run_at_every_level_on_the_same_servers_as_programs(pool):
    outcomes = pool.start(
        [
            Program(SOURCE, tests="assert double(2) == 4"),
            Program(SOURCE, ("double(2)",)),
            Program(SOURCE, tests="assert double(2) == 5"),
        ]
    ).results()
    assert [outcome.values for outcome in outcomes] == [(True,), (4,), ()]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def check(f):\n    assert f(2) == len('ab')\ncheck(g)", ["g"]),
        ("import math as m\nfrom os import path\nassert m.pi and path and x", ["x"]),
        ("[y for y in z]\nclass A: pass\nA()\ntry: 1\nexcept E as e: e", ["E", "z"]),
        ("def f(:", []),
    ],
)
def test_the_names_that_tests_need(code, names):
    assert find_free_names(code) == names
