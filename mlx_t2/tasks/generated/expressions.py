"""Grade a Python expression by running it and the right answer, away from our process.

An expression is first parsed and must consist of listed nodes, names, methods and builtins,
with small constants: arithmetic, indexing and calls on the bound variables, nothing that
reaches a file, an attribute of a class or an unbounded computation. What passes runs in the
sandbox. The list admits no input or output, so any level of the sandbox is enough here.

Value and type have to agree on three environments. Each name's value depends on the question
alone; a number is once equal to, once above and once below the constant of the question, which
tells `>` from `>=`.

Does not know how the questions are worded.
"""

import ast
import re
import warnings
from collections.abc import Sequence
from random import Random
from string import ascii_letters

from mlx_t2.errors import SandboxError
from mlx_t2.grading import RIGHT, Attempt, Grade, mismatch, wrong
from mlx_t2.sandbox import Opaque, Program, Value, run_programs, show

from .words import LISTS, NUMBERS, STRINGS

MAX_LENGTH = 60
"""Longest expression [characters]."""

_VARIABLES = frozenset((*LISTS, *STRINGS, *NUMBERS))
_FUNCTIONS = frozenset(
    (
        *("abs", "all", "any", "bool", "float", "int", "len", "list", "max", "min"),
        *("reversed", "round", "sorted", "str", "sum", "tuple"),
    )
)
_METHODS = frozenset(
    (
        *("capitalize", "copy", "count", "endswith", "find", "index", "join", "lower"),
        *("replace", "split", "startswith", "strip", "swapcase", "title", "upper"),
    )
)
_NODES = (
    *(ast.Expression, ast.Load, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
    *(ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Call, ast.keyword),
    *(ast.Name, ast.Constant, ast.Attribute),
)
_BIT_OPERATORS = (ast.LShift, ast.RShift, ast.BitAnd, ast.BitOr, ast.BitXor, ast.MatMult)
_MAX_PRODUCTS = 2


def grade_expressions(attempts: Sequence[Attempt]) -> list[Grade]:
    """Right where a completion has the value and type of its answer.

    The answers are one program and the completions another, each expression for at most a
    second of processor time. Should a program die or be stopped, the completions without a
    value run once more, each alone: a bad one costs only itself.

    Raises: SandboxError where no program runs, or an answer has no value.
    """
    grades = {
        attempt: wrong("not an allowed expression")
        for attempt in attempts
        if not is_allowed(attempt.completion)
    }
    jobs = [attempt for attempt in dict.fromkeys(attempts) if attempt not in grades]
    grades |= _run(jobs, timeout_s=20)
    for job in jobs:
        if job not in grades:
            grades |= _run([job], timeout_s=5) or {job: wrong("gave no value")}
    return [grades[attempt] for attempt in attempts]


def is_allowed(text: str) -> bool:
    """Whether the text is one short expression of listed parts."""
    text = text.strip()
    if not text or len(text) > MAX_LENGTH:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    nodes = list(ast.walk(tree))
    products = sum(isinstance(node, ast.Mult | ast.Pow) for node in nodes)
    return products <= _MAX_PRODUCTS and all(_is_listed(node) for node in nodes)


def _is_listed(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name):
            return name in _VARIABLES or name in _FUNCTIONS
        case ast.Constant(value=value):
            return _is_small(value)
        case ast.Call(func=ast.Name(id=name)):
            return name in _FUNCTIONS
        case ast.Call(func=function):
            return isinstance(function, ast.Attribute)
        case ast.Attribute(attr=name):
            return name in _METHODS
        case ast.keyword(arg=name):
            return name == "reverse"
        case ast.BinOp(op=ast.Pow(), right=exponent):
            return isinstance(exponent, ast.Constant) and exponent.value == 2
        case ast.BinOp(op=operator):
            return not isinstance(operator, _BIT_OPERATORS)
    return isinstance(node, _NODES)


def _is_small(value: object) -> bool:
    """`%` is refused in strings: it is a format that can ask for any width."""
    if isinstance(value, str):
        return len(value) <= 10 and "%" not in value
    return isinstance(value, int | float) and abs(value) <= 100


def _run(jobs: Sequence[Attempt], timeout_s: float) -> dict[Attempt, Grade]:
    """The grades of the jobs whose completions were evaluated before their program ended."""
    if not jobs:
        return {}
    answers = _program(jobs, [job.answer for job in jobs], timeout_s)
    completions = _program(jobs, [job.completion.strip() for job in jobs], timeout_s)
    expected, got = run_programs([answers, completions], allow_limits=True)
    if len(expected.values) < len(jobs):
        raise SandboxError(
            f"expression: the answers have no values at sandbox level {expected.level!r} "
            f"({expected.fault}), expected {len(jobs)}"
        )
    pairs = zip(got.values, expected.values, strict=False)
    return {job: _grade(job, *pair) for job, pair in zip(jobs, pairs, strict=False)}


def _program(jobs: Sequence[Attempt], expressions: Sequence[str], timeout_s: float) -> Program:
    calls = (
        f"values({expression!r}, {_environments(job)!r})"
        for job, expression in zip(jobs, expressions, strict=True)
    )
    return Program(_SOURCE, tuple(calls), cpu_s=timeout_s, wall_s=timeout_s, memory_mb=512)


def _grade(job: Attempt, got: Value, expected: Value) -> Grade:
    """got, expected: what `values` gave: the values in each environment, or an error's name."""
    if isinstance(expected, str):
        raise SandboxError(f"expression: the answer {job.answer!r} raised {expected}")
    if isinstance(got, str):
        return wrong(f"raised {got}")
    if isinstance(got, Opaque):  # all of them together are too large
        return wrong(mismatch(show(got), show(expected[0])))
    for one, other in zip(got, expected, strict=True):
        if type(one) is not type(other) or show(one) != show(other):
            return wrong(mismatch(show(one), show(other)))
    return RIGHT


def _environments(job: Attempt) -> list[dict[str, object]]:
    """Three values for every variable that the answer or the completion uses."""
    used = set(re.findall(r"\w+", f"{job.answer} {job.completion}")) & _VARIABLES
    constant = re.search(r"\d+", job.answer)
    near = int(constant[0]) if constant else None
    return [{name: _value(job.question, name, i, near) for name in used} for i in range(3)]


def _value(question: str, name: str, i: int, near: int | None) -> object:
    """Lists hold distinct numbers, more than any index asked for; strings have both cases."""
    rng = Random(f"{question}/{name}/{i}")
    if name in LISTS:
        return rng.sample(range(-99, 100), rng.randint(24, 60))
    if name in STRINGS:
        return "aB" + "".join(rng.choices(ascii_letters, k=rng.randint(4, 40)))
    if near is None:
        return rng.randint(2, 99)
    return (near, near + rng.randint(1, 30), rng.randrange(near))[i]


_SOURCE = f"""
import builtins, signal

FUNCTIONS = {{name: getattr(builtins, name) for name in {sorted(_FUNCTIONS)}}}

def late(*_):
    raise TimeoutError

def values(expression, environments):
    scope = {{"__builtins__": {{}}, **FUNCTIONS}}
    signal.setitimer(signal.ITIMER_VIRTUAL, 1.0)
    try:
        return [eval(expression, scope, dict(environment)) for environment in environments]
    except Exception as error:
        return type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

signal.signal(signal.SIGVTALRM, late)
"""
