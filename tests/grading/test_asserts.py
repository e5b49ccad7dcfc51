import math
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_t2.errors import TaskDataError
from mlx_t2.grading.asserts import find_entry_point, read_tests, split_tests


def split(tests: str, setup: str = "", entry_point: str = "f"):
    found = split_tests(tests, entry_point, setup)
    return None if found is None else [(c.call, c.expected) for c in found.checks]


@pytest.mark.parametrize(
    ("test", "call", "expected"),
    [
        ("assert f(2) == 5", "f(2)", "5"),
        ("assert (f(2)) == (5), 'a message'", "f(2)", "5"),
        ("assert 5 == f(2)", "f(2)", "5"),
        ("assert f([1], k='a') == {'a': [1, 2]}", "f([1], k='a')", "{'a': [1, 2]}"),
        ("assert f(2) == [0] * 3", "f(2)", "[0] * 3"),
        ("assert f(2) == math.pi", "f(2)", "math.pi"),
        ("assert f(2) == [x for x in range(3)]", "f(2)", "[x for x in range(3)]"),
        ("assert f(Pair(1, 2)) == 3", "f(Pair(1, 2))", "3"),
        ("assert f(root) == 3", "f(root)", "3"),
        ("assert f(f(2)) == 3", "f(f(2))", "3"),
        ("assert set(f(2)) == {1, 2}", "set(f(2))", "{1, 2}"),
        ("assert tuple(f(2)) == tuple([1])", "tuple(f(2))", "tuple([1])"),
        ("assert sorted(f(2), reverse=True) == [1]", "sorted(f(2), reverse=True)", "[1]"),
        ("assert round(f(2), 2) == 1.5", "round(f(2), 2)", "1.5"),
        ("assert int(f(2)) == 5", "int(f(2))", "5"),
        ("assert f(2)[0] == 5", "f(2)[0]", "5"),
        ("assert Solution().f(2) == 5", "Solution().f(2)", "5"),
        ("assert f(2) == True", "f(2)", "True"),
        ("assert f(2) is None", "f(2)", "None"),
        ("assert f(2) is not None", "f(2)", "None"),
        ("assert f(2) != 5", "f(2)", "5"),
        ("assert f(2) > 5", "f(2)", "5"),
        ("assert 5 < f(2)", "f(2)", "5"),
        ("assert f(2) in (1, 2)", "f(2)", "(1, 2)"),
        ("assert f(2)", "f(2)", "None"),
        ("assert not f(2)", "f(2)", "None"),
        ("assert abs(f(2) - 1 / 3) < 1e-6", "f(2)", "1 / 3"),
        ("assert abs(1 / 3 - f(2)) <= 1e-6", "f(2)", "1 / 3"),
        ("assert math.isclose(f(2), 0.1, rel_tol=1e-3)", "f(2)", "0.1"),
        ("from math import isclose\nassert isclose(0.1, f(2))", "f(2)", "0.1"),
    ],
)
def test_an_assert_has_two_halves_of_which_the_call_holds_nothing_expected(
    test, call, expected
):
    assert split(test) == [(call, expected)]


@pytest.mark.parametrize(
    "test",
    [
        "assert f(2) - 5 == 0",
        "assert abs(f(2) - 5) == 0",
        "assert (f(2) == 5) == True",
        "assert (f(2) == 5) is True",
        "assert max(f(2), 5) == 5",
        "assert f(2) == f(3)",
        "assert g(2) == f(2)",
        "assert isinstance(f(2), int)",
        "assert isinstance(f(2), int) == True",
        "assert bool(f(2)) == True",
        "assert all(x == 5 for x in f(2))",
        "assert f(2).startswith('a')",
        "assert f(2) == 5 or f(2) == 6",
        "assert 1 < f(2) < 3",
        "assert len(f(2)) > 0",
        "assert len(f(2)) in (1, 2)",
        "assert 5 in f(2)",
        "assert set(f(2)) != {1}",
        "assert len(f(2)) == True",
        "assert math.floor(f(2)) == 5",
        "for x in range(3):\n    assert f(x) == x",
        "y = 5\nassert f(2) == y",
        "def close(a, b): return abs(a - b) < 1\nassert close(f(2), 5)",
        "assert abs(f(2) - 5) < eps",
        "assert f(2) == 5\nraise ValueError",
        "x = 1",
        "pass",
    ],
)
def test_what_might_hold_an_expected_value_does_not_split(test):
    assert split(test) is None


def test_a_helper_of_the_setup_is_not_the_candidates():
    setup = "def close(a, b): return abs(a - b) < 1\nroot = Node(1)"
    assert split("assert close(f(2), 5)", setup) is None
    assert split("assert f(root) == 5", setup) == [("f(root)", "5")]


def test_an_and_is_two_checks_and_what_is_always_true_is_none():
    tests = "assert f(1) == 2 and not f(3)\nassert True, 'fine'"
    assert split(tests) == [("f(1)", "2"), ("f(3)", "None")]


def test_a_check_function_is_read_with_its_parameters_name():
    tests = (
        "METADATA = {'author': 'me'}\n\ndef check(candidate):\n    'Words.'\n    import math\n"
        "    assert candidate(2) == 5\n    assert not candidate(3)\n    print\n\ncheck(f)\n"
    )
    assert find_entry_point(tests) == "f"
    assert split(tests) == [("f(2)", "5"), ("f(3)", "None")]
    found = split_tests(tests, "f")
    assert found is not None
    assert found.imports == "import math\n"
    assert split(tests.replace("candidate", "fn")) == split(tests)


def test_modules_of_the_standard_library_need_no_import():
    found = split_tests("assert f(2) == sys.getsizeof(1)", "f")
    assert found is not None
    assert found.imports == "import sys\n"


@pytest.mark.parametrize(
    ("test", "right", "wrong"),
    [
        ("assert f(2) == 2", [2, 2.0], [3, None, "2", [2]]),
        ("assert f(2) == 1", [1, True, 1.0], [False]),
        ("assert f(2) == True", [True, 1], [False, None, "True"]),
        ("assert f(2) == (1, 2)", [(1, 2)], [[1, 2]]),
        ("assert f(2) == 0.1", [0.1], [0.1 + 1e-12, math.nan]),
        ("assert f(2) == float('nan')", [], [math.nan]),
        ("assert f(2) is True", [True], [1, None]),
        ("assert f(2) is not None", [0], [None]),
        ("assert f(2) != 5", [4, None], [5]),
        ("assert f(2) > 5", [6], [5, 4]),
        ("assert 5 >= f(2)", [5, 4], [6]),
        ("assert f(2) in (1, 2)", [1, 2.0], [3]),
        ("assert f(2)", [1, [0], "a"], [0, [], None]),
        ("assert not f(2)", [0, [], None], [1]),
        ("assert abs(f(2) - 1) < 0.5", [1, 1.4, 0.6], [1.5, 2, math.nan]),
        ("assert abs(f(2) - 1) <= 0.5", [1.5], [1.6]),
        ("assert math.isclose(f(2), 100, rel_tol=0.01)", [100.5], [102]),
    ],
)
def test_values_agree_as_python_has_it(test, right, wrong):
    found = split_tests(test, "f")
    assert found is not None
    (check,) = found.checks
    expected = eval(check.expected)
    assert all(check.agrees(value, expected) for value in right)
    assert not any(check.agrees(value, expected) for value in wrong)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
        max_leaves=8,
    )
)
def test_a_literal_is_split_off_whole(value):
    found = split_tests(f"assert f(2) == {value!r}".replace("inf", "1e999"), "f")
    assert found is not None
    assert found.checks[0].agrees(value, eval(found.checks[0].expected))


@pytest.mark.parametrize(
    ("tests", "name"),
    [
        ("assert f(2) == 4", "f"),
        ("assert set(f(2)) == {1}", "f"),
        ("assert len(max(2)) == 4", "len"),
        ("import math\nassert math.isclose(g(2), math.sqrt(2))", "g"),
        ("assert f([Pair(1, 2)]) == 4", "f"),
        ("def check(candidate):\n    assert candidate(1) == 2\ncheck(h)", "h"),
        ("def check(fn):\n    for x in range(3):\n        assert fn(x) == 2\ncheck(h)", "h"),
        ("assert calendar(2020) == 4", "calendar"),
    ],
)
def test_the_function_that_tests_are_of_is_found(tests, name):
    assert find_entry_point(tests) == name


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        (5, "tests: got 5, expected asserts in a list, or one text with asserts"),
        (None, "tests: got None, expected asserts"),
        ([], r"tests: got \[\], expected asserts"),
        ("  ", "tests: got '  ', expected asserts"),
        (["assert f(2) == 4", 3], r"tests: got \['assert f\(2\) == 4', 3\], expected asserts"),
        ({"a": 1}, "tests: got {'a': 1}, expected asserts"),
        (["assert f(2) == 4", "assert f(2 == 4"], r"tests: line 2: got '\(' was never"),
        ("assert '\0'", "tests: got source code .* null bytes, expected Python"),
        ("assert 2 == 2", "tests: got 'assert 2 == 2', expected a call of the function"),
    ],
)
def test_tests_that_are_none_are_named(tests, message):
    with pytest.raises(TaskDataError, match=message):
        find_entry_point(read_tests(tests))


def test_tests_are_joined_without_carriage_returns():
    assert read_tests(["assert f(1)\r\n", "assert f(2)"]) == "assert f(1)\n\nassert f(2)\n"


def test_the_classes_that_arrive_as_dict_still_compare():
    """A Counter of the reference arrives as a dict, and equals one."""
    found = split_tests("assert f(2) == {'a': 2}", "f")
    assert found is not None
    assert found.checks[0].agrees(Counter("aa"), {"a": 2})
    assert not found.checks[0].agrees(Decimal(2), {"a": 2})
