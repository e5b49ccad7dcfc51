"""Grading expressions: what is the same, what is refused, and that nothing gets out."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_t2.grading.sandbox import SandboxResult
from mlx_t2.tasks import get_task
from mlx_t2.tasks.generated import expressions
from mlx_t2.tasks.generated.expressions import Candidate, are_equal, is_allowed

TOKENS = (
    *("xs", "s", "n", "len", "sum", "max", "sorted", "upper", "(", ")", "[", "]", ":", ","),
    *(".", "+", "-", "*", "**", "%", "/", "==", ">", "not ", " in ", " if ", " else "),
    *("1", "0", "99", "'a'", "True", "None", "lambda x: ", "__class__", "{", "}", "\0", "é"),
)


def equal(reference, completion, question="q"):
    return are_equal([Candidate(question, reference, completion)])[0]


@pytest.mark.parametrize(
    ("reference", "completion"),
    [
        ("sum(xs)", "sum( xs )"),
        ("max(xs)", "sorted(xs)[-1]"),
        ("max(xs)", "max(xs)  # the largest"),
        ("sorted(xs)", "sorted(list(xs), reverse=False)"),
        ("xs[::-1]", "list(reversed(xs))"),
        ("xs[:3]", "xs[0:3]"),
        ("xs[-3:]", "xs[len(xs) - 3:]"),
        ("n * n", "n ** 2"),
        ("n > 5", "5 < n"),
        ("n > 5", "not n <= 5"),
        ("s.lower()", "s.swapcase().lower()"),
        ("s * 3", "s + s + s"),
        ("n % 7", "n - n // 7 * 7"),
    ],
)
def test_another_way_to_the_same_value_is_right(reference, completion):
    assert equal(reference, completion)


@pytest.mark.parametrize(
    ("reference", "completion"),
    [
        ("sum(xs)", "sum(ages)"),
        ("max(xs)", "xs[0]"),
        ("max(xs)", "min(xs)"),
        ("sorted(xs)", "sorted(xs, reverse=True)"),
        ("xs[:3]", "xs[:4]"),
        ("xs[:3]", "tuple(xs[:3])"),
        ("xs[3]", "float(xs[3])"),
        ("n > 5", "n >= 5"),
        ("n > 5", "True"),
        ("n > 5", "False"),
        ("n > 5", "int(n > 5)"),
        ("n + 2", "n + 2.0"),
        ("xs[:3]", "[float(xs[0]), xs[1], xs[2]]"),
        ("n % 7", "0"),
        ("s.upper()", "s"),
        ("len(xs)", "24"),
        ("xs[::-1]", "reversed(xs)"),
        ("s.upper()", "s.upper"),
    ],
)
def test_another_value_or_type_is_wrong(reference, completion):
    assert not equal(reference, completion)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "__import__('os').system('true')",
        "().__class__",
        "().__class__.__bases__[0].__subclasses__()",
        "xs.__len__()",
        "'{0.__class__}'.format(xs)",
        "'%9999999d' % n",
        "f'{xs}'",
        "9**9**9",
        "n**9",
        "n**2**2",
        "2**n",
        "[0]*10**9",
        "xs*99*99*99*99",
        "1<<99",
        "1e999",
        "10**100",
        "eval('1')",
        "exec('1')",
        "open('/etc/passwd').read()",
        "print(1)",
        "input()",
        "globals()",
        "type(xs)",
        "getattr(xs, 'copy')",
        "lambda: 1",
        "(lambda f: f(f))(lambda f: f(f))",
        "[x for x in xs]",
        "sum(1 for _ in iter(int, 1))",
        "(x := 1)",
        "sorted(xs, key=exit)",
        "len(*[xs])",
        "xs.append(1)",
        "range(10**9)",
        "await xs",
        "unknown",
        "xs = 1",
        "import os",
        "\0",
        "xs\0",
        "(" * 5000 + ")" * 5000,
        "-" * 59 + "1",
        "(" * 29 + "1" + ")" * 30,
        "\ud800",
        "'\ud800",
        "é",
        "n if",
        "",
        "   ",
        "\n",
    ],
)
def test_tampering_earns_nothing(text):
    assert not equal("n > 5", text)


@pytest.mark.parametrize(
    "text", ["n**9", "xs.pop()", "open('a')", "xs.__len__()", "1000", "'%9d' % n"]
)
def test_what_is_not_listed_never_runs(text, monkeypatch):
    monkeypatch.setattr(expressions, "run_python", forbidden)
    assert not is_allowed(text)
    assert not equal("n > 5", text)


def forbidden(*_, **__):
    raise AssertionError("ran")


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text() | st.lists(st.sampled_from(TOKENS)).map("".join), max_size=30))
def test_grading_any_text_gives_zero_or_one(texts):
    task = get_task("expression")
    problems = task.step(len(texts), seed=0)
    rewards = task.grade(list(zip(problems, texts, strict=True)))
    assert len(rewards) == len(texts)
    assert set(rewards) <= {0.0, 1.0}


@given(st.text() | st.lists(st.sampled_from(TOKENS)).map("".join))
def test_any_text_can_be_refused(text):
    assert is_allowed(text) in (True, False)


def test_rewards_come_in_the_order_of_the_attempts():
    task = get_task("expression")
    problems = task.problems("test", 60)
    texts = [p.answer if i % 3 else "xs" for i, p in enumerate(problems)]
    rewards = task.grade(list(zip(problems, texts, strict=True)))
    assert rewards == [float(i % 3 > 0) for i in range(60)]


def test_a_batch_is_graded_like_one_by_one():
    task = get_task("expression")
    problems = task.problems("test", 20)
    attempts = [(p, q.answer) for p in problems[:4] for q in problems[:4]]
    assert task.grade(attempts) == [task.grade([attempt])[0] for attempt in attempts]


def test_a_hanging_item_does_not_cost_its_neighbours(monkeypatch):
    """`len` is made to hang inside the sandbox: only what calls it is wrong."""
    slow = expressions._WORKER.replace(
        "def late", "def hang(_):\n    while True: pass\nFUNCTIONS['len'] = hang\ndef late"
    ).replace("ITIMER_VIRTUAL, 1.0", "ITIMER_VIRTUAL, 0.2")
    monkeypatch.setattr(expressions, "_WORKER", slow)
    texts = ["sum(xs)", "max(xs)", "len(xs)", "min(xs)"]
    assert are_equal([Candidate("q", t, t) for t in texts]) == [True, True, False, True]


def test_an_item_that_kills_the_process_does_not_cost_its_neighbours(monkeypatch):
    """`len` is made to end the interpreter at once: the others run again, alone."""
    deadly = "import os\n" + expressions._WORKER.replace(
        "def late", "FUNCTIONS['len'] = lambda _: os._exit(0)\ndef late"
    )
    monkeypatch.setattr(expressions, "_WORKER", deadly)
    texts = ["sum(xs)", "max(xs)", "len(xs)", "min(xs)"]
    assert are_equal([Candidate("q", t, t) for t in texts]) == [True, True, False, True]


def test_a_verdict_without_the_nonce_is_not_believed(monkeypatch):
    said = SandboxResult("0 1\n deadbeef 0 1\n", "", 0, False, "rlimits")
    monkeypatch.setattr(expressions, "run_python", lambda *_, **__: said)
    assert not equal("sum(xs)", "max(xs)")


def test_equal_attempts_are_run_once(monkeypatch):
    sizes = []

    def counted(source, *, stdin, **limits):
        sizes.append(len(re.findall("environments", stdin)))
        return run(source, stdin=stdin, **limits)

    run = expressions.run_python
    monkeypatch.setattr(expressions, "run_python", counted)
    assert are_equal([Candidate("q", "sum(xs)", "sum(xs)")] * 50) == [True] * 50
    assert sizes == [1]


def test_no_candidates_need_no_sandbox(monkeypatch):
    monkeypatch.setattr(expressions, "run_python", forbidden)
    assert are_equal([]) == []
