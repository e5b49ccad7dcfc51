"""Grade a Python expression by running it and the right answer, away from our process.

An expression is first parsed and must consist of listed nodes, names, methods and builtins,
with small constants: arithmetic, indexing and calls on the bound variables, nothing that
reaches a file, an attribute of a class or an unbounded computation. What passes runs in the
sandbox. The list admits no input or output, so the sandbox level `rlimits` is enough here.

Value and type have to agree on three environments. Each name's value depends on the question
alone; a number is once equal to, once above and once below the constant of the question, which
tells `>` from `>=`.

Does not know how the questions are worded.
"""

import ast
import json
import re
import secrets
import warnings
from collections.abc import Sequence
from random import Random
from string import ascii_letters

from mlx_t2.errors import SandboxError
from mlx_t2.grading import RIGHT, Attempt, Grade, mismatch, wrong
from mlx_t2.sandbox import run_python

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

_SHOWN = 50
"""Longest value that the worker prints [characters]; a reason quotes fewer."""


def grade_expressions(attempts: Sequence[Attempt]) -> list[Grade]:
    """Right where a completion has the value and type of its answer.

    All run in one process, each for at most a second of processor time. Should the process die
    or be stopped, those without a verdict run once more, each alone: a bad completion costs
    only itself.

    Raises: SandboxError where the worker does not start, or the right answer has no value.
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
    """The grades that the sandbox reached before it ended."""
    if not jobs:
        return {}
    nonce = secrets.token_hex(16)
    items = [[job.answer, job.completion.strip(), _environments(job)] for job in jobs]
    request = json.dumps({"nonce": nonce, "items": items})
    result = run_python(_WORKER, stdin=request, timeout_s=timeout_s, memory_mb=512)
    whole = result.stdout.split("\n")[:-1]
    lines = [line.removeprefix(nonce) for line in whole if line.startswith(nonce)]
    if not lines:
        raise SandboxError(
            f"expression: the grader did not start at sandbox level {result.level!r} (exit "
            f"{result.returncode}{', out of time' if result.is_timeout else ''}), expected its "
            f"first line. {result.stderr.strip()[-200:]}"
        )
    verdicts = [json.loads(line) for line in lines[1:]]
    return {jobs[i]: _grade(jobs[i], *verdict) for i, *verdict in verdicts}


def _grade(job: Attempt, verdict: str, got: str, expected: str) -> Grade:
    match verdict:
        case "equal":
            return RIGHT
        case "differs":
            return wrong(mismatch(got, expected))
        case "raised":
            return wrong(f"raised {got}")
    raise SandboxError(f"expression: the answer {job.answer!r} raised {expected}")


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


_WORKER = f"""
import builtins, json, signal, sys

FUNCTIONS = {{name: getattr(builtins, name) for name in {sorted(_FUNCTIONS)}}}

def late(*_):
    raise TimeoutError

def values(expression, environments):
    scope = {{"__builtins__": {{}}, **FUNCTIONS}}
    signal.setitimer(signal.ITIMER_VIRTUAL, 1.0)
    try:
        found = [eval(expression, scope, dict(environment)) for environment in environments]
        return [(type(value), repr(value)) for value in found], None
    except Exception as error:
        return [], type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

def verdict(answer, completion, environments):
    expected, broken = values(answer, environments)
    if broken:
        return "no answer", "", broken
    got, fault = values(completion, environments)
    if fault:
        return "raised", fault, ""
    pairs = zip(got, expected)
    differing = next(((g, e) for g, e in pairs if g != e), None)
    if differing is None:
        return "equal", "", ""
    return "differs", *[shown[:{_SHOWN}] for _, shown in differing]

signal.signal(signal.SIGVTALRM, late)
request = json.load(sys.stdin)
print(request["nonce"], [], flush=True)
for i, item in enumerate(request["items"]):
    print(request["nonce"], json.dumps([i, *verdict(*item)]), flush=True)
"""
