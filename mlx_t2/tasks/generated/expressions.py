"""Are two Python expressions the same? Decided by running both, away from our process.

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
from dataclasses import dataclass
from random import Random
from string import ascii_letters

from mlx_t2.grading import run_python

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


@dataclass(frozen=True)
class Candidate:
    """A completion to compare with the reference of its question."""

    question: str
    reference: str
    completion: str


def are_equal(candidates: Sequence[Candidate]) -> list[bool]:
    """Whether each completion has the value and type of its reference, in order.

    All run in one process, each for at most a second of processor time. Should the process die
    or be stopped, those without a verdict run once more, each alone: a bad completion costs
    only itself.
    """
    jobs = [c for c in dict.fromkeys(candidates) if is_allowed(c.completion)]
    verdicts = _run(jobs, timeout_s=20)
    for job in jobs:
        if job not in verdicts:
            verdicts |= _run([job], timeout_s=5)
    return [verdicts.get(candidate, False) for candidate in candidates]


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


def _run(jobs: Sequence[Candidate], timeout_s: float) -> dict[Candidate, bool]:
    """The verdicts that the sandbox reached before it ended."""
    if not jobs:
        return {}
    nonce = secrets.token_hex(16)
    items = [
        {
            "expressions": [job.reference, job.completion.strip()],
            "environments": _environments(job),
        }
        for job in jobs
    ]
    request = json.dumps({"nonce": nonce, "items": items})
    result = run_python(_WORKER, stdin=request, timeout_s=timeout_s, memory_mb=512)
    lines = re.findall(rf"^{nonce} (\d+) ([01])$", result.stdout, re.MULTILINE)
    return {jobs[int(i)]: verdict == "1" for i, verdict in lines}


def _environments(job: Candidate) -> list[dict[str, object]]:
    """Three values for every variable that the reference or the completion uses."""
    used = set(re.findall(r"\w+", f"{job.reference} {job.completion}")) & _VARIABLES
    constant = re.search(r"\d+", job.reference)
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

def same(reference, completion, environment):
    scope = {{"__builtins__": {{}}, **FUNCTIONS}}
    want = eval(reference, scope, dict(environment))
    have = eval(completion, scope, dict(environment))
    return type(have) is type(want) and repr(have) == repr(want)

def verdict(item):
    signal.setitimer(signal.ITIMER_VIRTUAL, 1.0)
    try:
        return all([same(*item["expressions"], e) for e in item["environments"]])
    except Exception:
        return False
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

signal.signal(signal.SIGVTALRM, late)
request = json.load(sys.stdin)
for i, item in enumerate(request["items"]):
    print(request["nonce"], i, int(verdict(item)), flush=True)
"""
