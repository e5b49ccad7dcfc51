"""Grading expressions: what is the same, what is refused, and that nothing gets out."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_t2.errors import SandboxError
from mlx_t2.grading import RIGHT, Attempt, wrong
from mlx_t2.tasks import get_task
from mlx_t2.tasks.generated import expressions
from mlx_t2.tasks.generated.expressions import grade_expressions, is_allowed

TOKENS = (
    *("xs", "s", "n", "len", "sum", "max", "sorted", "upper", "(", ")", "[", "]", ":", ","),
    *(".", "+", "-", "*", "**", "%", "/", "==", ">", "not ", " in ", " if ", " else "),
    *("1", "0", "99", "'a'", "True", "None", "lambda x: ", "__class__", "{", "}", "\0", "é"),
)


def grade(answer, completion):
    return grade_expressions([Attempt("q", answer, completion)])[0]


def equal(answer, completion):
    return grade(answer, completion).is_right


@pytest.mark.parametrize(
    ("answer", "completion"),
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
def test_another_way_to_the_same_value_is_right(answer, completion):
    assert equal(answer, completion)


@pytest.mark.parametrize(
    ("answer", "completion"),
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
def test_another_value_or_type_is_wrong(answer, completion):
    assert not equal(answer, completion)


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
    assert grade("n > 5", text).reward == 0.0


@pytest.mark.parametrize(
    "text", ["n**9", "xs.pop()", "open('a')", "xs.__len__()", "1000", "'%9d' % n"]
)
def test_what_is_not_listed_never_runs(text, monkeypatch):
    monkeypatch.setattr(expressions, "run_programs", forbidden)
    assert not is_allowed(text)
    assert grade("n > 5", text) == wrong("not an allowed expression")


def forbidden(*_, **__):
    raise AssertionError("ran")


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text() | st.lists(st.sampled_from(TOKENS)).map("".join), max_size=30))
def test_any_text_is_right_or_wrong_for_a_reason(texts):
    task = get_task("expression")
    problems = task.step(len(texts), seed=0)
    grades = task.grade(list(zip(problems, texts, strict=True)))
    assert len(grades) == len(texts)
    for found in grades:
        assert found == (RIGHT if found.is_right else wrong(found.reason))
        assert 0 < len(found.reason) < 120


@pytest.mark.parametrize(
    ("answer", "completion", "reason"),
    [
        ("xs[0] * 0 + 5", "xs[0] * 0 + 2 + 3", "right"),
        ("xs[0] * 0 + 5", "xs[0] * 0 + 7", "got 7, expected 5"),
        ("xs[0] * 0 + 1", "xs == xs", "got True, expected 1"),
        ("max(xs)", "max(xs, s)", "raised TypeError"),
        ("max(xs)", "xs[99]", "raised IndexError"),
        ("max(xs)", "open('a')", "not an allowed expression"),
        ("max(xs)", "", "not an allowed expression"),
    ],
)
def test_a_grade_says_why(answer, completion, reason):
    assert grade(answer, completion) == (RIGHT if reason == "right" else wrong(reason))


def test_a_long_value_is_shortened_in_the_reason():
    assert re.fullmatch(r"got \[.{38}…, expected \[.{38}…", grade("xs", "sorted(xs)").reason)


def test_a_value_that_is_too_large_to_carry_is_wrong():
    found = grade("sum(xs)", "xs * 99 * 99")
    assert re.fullmatch(r"got <a value of over 1 MB>, expected -?\d+", found.reason)


@given(st.text() | st.lists(st.sampled_from(TOKENS)).map("".join))
def test_any_text_can_be_refused(text):
    assert is_allowed(text) in (True, False)


def test_grades_come_in_the_order_of_the_attempts():
    task = get_task("expression")
    problems = task.problems("test", 60)
    texts = [p.answer if i % 3 else "xs" for i, p in enumerate(problems)]
    grades = task.grade(list(zip(problems, texts, strict=True)))
    assert [g.is_right for g in grades] == [i % 3 > 0 for i in range(60)]


def test_a_batch_is_graded_like_one_by_one():
    task = get_task("expression")
    problems = task.problems("test", 20)
    attempts = [(p, q.answer) for p in problems[:4] for q in problems[:4]]
    assert task.grade(attempts) == [task.grade([attempt])[0] for attempt in attempts]


def attempts(*texts, answer="sum(xs)"):
    return [Attempt("q", answer, text) for text in texts]


def altered(monkeypatch, change):
    """The program around the expressions with a line before its functions."""
    source = expressions._SOURCE.replace("def late", f"{change}\ndef late")
    source = source.replace("ITIMER_VIRTUAL, 1.0", "ITIMER_VIRTUAL, 0.2")
    monkeypatch.setattr(expressions, "_SOURCE", source)


def test_a_hanging_item_does_not_cost_its_neighbours(monkeypatch):
    """`len` is made to hang inside the sandbox: only what calls it is wrong."""
    altered(monkeypatch, "def hang(_):\n    while True: pass\nFUNCTIONS['len'] = hang")
    grades = grade_expressions(attempts("sum(xs)", "len(xs)", "sum(list(xs))"))
    assert grades == [RIGHT, wrong("raised TimeoutError"), RIGHT]


def test_an_item_that_kills_the_process_does_not_cost_its_neighbours(monkeypatch):
    """`len` is made to end the interpreter at once: the others run again, alone."""
    altered(monkeypatch, "import os; FUNCTIONS['len'] = lambda _: os._exit(0)")
    grades = grade_expressions(attempts("sum(xs)", "len(xs)", "sum(list(xs))"))
    assert grades == [RIGHT, wrong("gave no value"), RIGHT]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("raise OSError('no room')", "OSError: no room"), ("import os; os._exit(3)", r".*exit 3")],
)
def test_answers_that_do_not_run_raise_and_grade_nothing(monkeypatch, fault, reason):
    altered(monkeypatch, fault)
    with pytest.raises(SandboxError, match=rf"the answers have no values at .*\({reason}"):
        grade("sum(xs)", "max(xs)")


@pytest.mark.parametrize("fault", ["'sum'.missing()", "None()"])
def test_an_answer_without_a_value_is_no_fault_of_the_completion(monkeypatch, fault):
    altered(monkeypatch, f"FUNCTIONS['sum'] = lambda _: {fault}")
    with pytest.raises(SandboxError, match=r"expression: the answer 'sum\(xs\)' raised"):
        grade("sum(xs)", "max(xs)")


def count_programs(monkeypatch) -> list[int]:
    """The numbers of calls of the programs that are run from now on."""
    sizes = []

    def counted(programs, **settings):
        sizes.extend(len(program.calls) for program in programs)
        return run(programs, **settings)

    run = expressions.run_programs
    monkeypatch.setattr(expressions, "run_programs", counted)
    return sizes


def test_equal_attempts_are_run_once(monkeypatch):
    sizes = count_programs(monkeypatch)
    assert grade_expressions(attempts("sum(xs)") * 50) == [RIGHT] * 50
    assert sizes == [1, 1]  # the answer, the completion


def test_the_answers_are_not_in_the_program_of_the_completions(monkeypatch):
    seen = []

    def spied(programs, **settings):
        seen.extend(programs)
        return run(programs, **settings)

    run = expressions.run_programs
    monkeypatch.setattr(expressions, "run_programs", spied)
    assert grade("max(xs)", "sorted(xs)[-1]").is_right
    assert ["max(xs)" in program.calls[0] for program in seen] == [True, False]
    assert ["sorted(xs)" in program.calls[0] for program in seen] == [False, True]


def test_no_attempts_need_no_sandbox(monkeypatch):
    monkeypatch.setattr(expressions, "run_programs", forbidden)
    assert grade_expressions([]) == []
