"""Tests in two halves: a call, which the program answers, and what it is compared with.

`assert f(2) == 5` becomes the call `f(2)`, the expected value `5` and the comparison `==`. Only
calls are handed to whoever runs a candidate: it never sees an expected value, so that neither
its equality, nor its exit, nor its output can be taken for a right answer.

What is split: asserts alone, in an `and`, or in HumanEval's `check(candidate)`, of the forms

    f(…) == x    x == f(…)    f(…) != x    f(…) < x    f(…) is None    f(…) in x
    f(…)         not f(…)     abs(f(…) - x) < eps    math.isclose(f(…), x)

where f(…) may stand in a conversion, `set(f(…)) == {1, 2}`, or be indexed. Everything else
(loops, helpers, a comparison with another call of the candidate) does not split.

Does not run anything, nor know where tests are from. Trusts the tests, which are the user's.
"""

import ast
import builtins
import math
import operator
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mlx_t2.errors import TaskDataError

Comparison = Callable[[Any, Any], bool]
"""(got, expected) → whether they agree. May raise for values that do not compare."""

_BUILTINS = frozenset(dir(builtins))
_CONVERSIONS = frozenset(
    (
        *("abs", "dict", "float", "frozenset", "int", "len", "list"),
        *("round", "set", "sorted", "str", "sum", "tuple"),
    )
)
_ORDERS: dict[type, Comparison] = {
    **{ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge},
    **{ast.NotEq: operator.ne, ast.In: lambda got, expected: got in expected},
}
_MIRRORED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
_MIRRORED |= {ast.NotEq: ast.NotEq}
_SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.NotEq: "anything but"}
_SIGNS |= {ast.In: "one of", ast.Is: "", ast.IsNot: "anything but"}


@dataclass(frozen=True)
class Check:
    """One assert in two halves."""

    call: str
    """Source of what the candidate answers: "f(2)"."""
    expected: str
    """Source of what it is compared with: "5"; "None" where only its truth counts."""
    agrees: Comparison
    wanted: str
    """What agrees, in words: "5", "a true value", "0.5 within 1e-06"."""


@dataclass(frozen=True)
class Checks:
    """Tests that split."""

    checks: tuple[Check, ...]
    imports: str
    """Imports that calls and expected values need, one per line."""


def read_tests(tests: Any) -> str:
    """Tests as one text, from a list of asserts or a text.

    Raises: TaskDataError where they are neither, or not Python.
    """
    lines = [tests] if isinstance(tests, str) else tests
    is_list = isinstance(lines, Sequence) and all(isinstance(line, str) for line in lines)
    if not is_list or not any(line.strip() for line in lines):
        raise TaskDataError(
            f"tests: got {tests!r:.60}, expected asserts in a list, or one text with asserts"
        )
    text = "\n".join(line.replace("\r\n", "\n") for line in lines) + "\n"
    _parse(text)
    return text


def find_entry_point(tests: str) -> str:
    """The function that the tests are of: what `check` is called with, or the first that is
    called and that they do not define.

    >>> find_entry_point("assert set(f(2)) == {3}")
    'f'

    Raises: TaskDataError where there is none.
    """
    module = _parse(tests)
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    checked = [
        node.args[0].id
        for node in calls
        if _name(node.func) == "check" and len(node.args) == 1
        if isinstance(node.args[0], ast.Name)
    ]
    called = [name for node in calls if (name := _name(node.func)) not in _names_bound(module)]
    own = [name for name in called if name not in _BUILTINS]
    for name in (*checked, *own, *called):
        if name.isidentifier():
            return name
    raise TaskDataError(
        f"tests: got {tests.strip()!r:.60}, expected a call of the function that is tested, "
        "as in assert f(2) == 4"
    )


def split_tests(tests: str, entry_point: str, setup: str = "") -> Checks | None:
    """The tests in halves; None where one of them does not split.

    setup: what is executed between the candidate and the tests. It is no part of the candidate.
    """
    splitter = _Splitter(entry_point, _parse(tests), _names_bound(_parse(setup, "setup")))
    try:
        checks = tuple(check for node in splitter.asserts() for check in splitter.split(node))
    except _WholeError:
        return None
    return Checks(checks, splitter.imports) if checks else None


class _WholeError(Exception):
    """These tests run only as a whole."""


class _Splitter:
    """Splits the asserts of one text."""

    def __init__(self, entry_point: str, module: ast.Module, foreign: set[str]):
        """foreign: names that are bound between the candidate and the tests."""
        self._module = module
        self._entry_point = entry_point
        self._foreign = foreign
        imports = [n for n in ast.walk(module) if isinstance(n, ast.Import | ast.ImportFrom)]
        bound = {name for node in imports for name in _names_bound(ast.Module([node], []))}
        self._known = (_BUILTINS | sys.stdlib_module_names | bound) - {entry_point}
        used = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
        modules = sorted((used & sys.stdlib_module_names) - bound - {entry_point})
        lines = [f"import {name}" for name in modules] + [ast.unparse(node) for node in imports]
        self.imports = "".join(line + "\n" for line in lines)

    def asserts(self) -> Iterator[ast.expr]:
        """What is asserted, in order. Statements without an effect are passed over.

        Raises: _WholeError at any other statement.
        """
        for node in self._module.body:
            match node:
                case ast.FunctionDef(
                    name="check", args=ast.arguments(args=[ast.arg(arg=name)])
                ):
                    for statement in node.body:
                        for part in ast.walk(statement):
                            if isinstance(part, ast.Name) and part.id == name:
                                part.id = self._entry_point
                    yield from self._asserts_in(node.body)
                case _:
                    yield from self._asserts_in([node])

    def _asserts_in(self, body: Sequence[ast.stmt]) -> Iterator[ast.expr]:
        for node in body:
            match node:
                case ast.Assert(test=ast.Constant(value=value)) if value:
                    pass
                case ast.Assert(test=test):
                    yield test
                case ast.Import() | ast.ImportFrom() | ast.Pass():
                    pass
                case ast.Expr(value=ast.Constant() | ast.Name()):
                    pass
                case ast.Expr(value=ast.Call(func=ast.Name("check"), args=[ast.Name()])):
                    pass
                case ast.Assign(targets=[ast.Name("METADATA")]):
                    pass
                case _:
                    raise _WholeError

    def split(self, test: ast.expr) -> Iterator[Check]:
        """The checks of one assert.

        Raises: _WholeError where it has none of the forms.
        """
        match test:
            case ast.BoolOp(op=ast.And(), values=values):
                for value in values:
                    yield from self.split(value)
            case ast.UnaryOp(op=ast.Not(), operand=call) if self._is_own_call(call):
                yield Check(ast.unparse(call), "None", lambda got, _: not got, "a false value")
            case ast.Call(args=[one, other]) if self._is_isclose(test):
                call, expected = self._order(one, other)
                settings = {str(k.arg): _number(k.value) for k in test.keywords}
                yield _check(call, expected, partial(math.isclose, **settings), "nearly {}")
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                yield self._split_comparison(left, op, right)
            case _ if self._is_own_call(test):
                yield Check(ast.unparse(test), "None", lambda got, _: bool(got), "a true value")
            case _:
                raise _WholeError

    def _split_comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Check:
        match left, op:
            case (
                ast.Call(func=ast.Name("abs"), args=[ast.BinOp(one, ast.Sub(), other)]),
                ast.Lt() | ast.LtE(),
            ):
                call, expected = self._order(one, other)
                is_near = partial(_is_near, _number(right), type(op))
                return _check(call, expected, is_near, f"{{}} within {_number(right):g}")
            case _, ast.Eq():
                call, expected = self._order(left, right)
                if not _is_bool(expected) or self._is_own_call(call):
                    return _check(call, expected, operator.eq)
            case _, ast.Is() | ast.IsNot() if isinstance(right, ast.Constant):
                if self._is_own_call(left) and right.value in (None, True, False):
                    is_same = operator.is_ if isinstance(op, ast.Is) else operator.is_not
                    return _check(left, right, is_same, f"{_SIGNS[type(op)]} {{}}".strip())
            case _:
                for call, kind, expected in (
                    (left, type(op), right),
                    (right, _MIRRORED.get(type(op)), left),
                ):
                    is_split = self._is_own_call(call) and self._is_known(expected)
                    if is_split and kind in _ORDERS:
                        return _check(call, expected, _ORDERS[kind], f"{_SIGNS[kind]} {{}}")
        raise _WholeError

    def _order(self, one: ast.expr, other: ast.expr) -> tuple[ast.expr, ast.expr]:
        """(call, expected) of the two sides of a comparison.

        Raises: _WholeError where they are not one of each.
        """
        for call, expected in ((one, other), (other, one)):
            if self._is_call(call) and self._is_known(expected):
                return call, expected
        raise _WholeError

    def _is_call(self, node: ast.expr) -> bool:
        """Whether the candidate answers this: its function called, converted or indexed.

        No operator and no other function, since these may hold the expected value:
        `f(2) - 5 == 0`.
        """
        match node:
            case ast.Call(func=ast.Name(name), args=[inner, *others]):
                if name in _CONVERSIONS & self._known:
                    others += [keyword.value for keyword in node.keywords]
                    return self._is_call(inner) and all(map(self._is_known, others))
            case ast.Subscript(value=inner):
                return self._is_call(inner)
        return self._is_own_call(node)

    def _is_own_call(self, node: ast.expr) -> bool:
        """Whether this is a call of the candidate's own function, or of a method of its class.

        What is true or false has to be one: the candidate may have replaced any other.
        """
        match node:
            case ast.Call(func=ast.Name(name)):
                return self._is_own(name)
            case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(name)))):
                return self._is_own(name) and name[:1].isupper()
        return False

    def _is_own(self, name: str) -> bool:
        return name not in self._known and name not in self._foreign

    def _is_known(self, node: ast.expr) -> bool:
        """Whether this has a value without the candidate."""
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return names - _names_bound(ast.Module([ast.Expr(node)], [])) <= self._known

    def _is_isclose(self, call: ast.Call) -> bool:
        return self._entry_point != "isclose" and _name(call.func) in (
            "isclose",
            "math.isclose",
        )


def _check(call: ast.expr, expected: ast.expr, agrees: Comparison, wanted: str = "{}") -> Check:
    """The halves as source. wanted: with `{}` for the expected value."""
    source = ast.unparse(expected)
    return Check(ast.unparse(call), source, agrees, wanted.replace("{}", source))


def _is_near(eps: float, order: type, got: Any, expected: Any) -> bool:
    return _ORDERS[order](abs(got - expected), eps)


def _is_bool(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bool)


def _number(node: ast.expr) -> float:
    try:
        value = ast.literal_eval(node)
    except ValueError as error:
        raise _WholeError from error
    if not isinstance(value, int | float):
        raise _WholeError
    return value


def _name(node: ast.expr) -> str:
    """A name, with dots where it has them; empty for any other expression."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _names_bound(module: ast.Module) -> set[str]:
    """Every name that is imported, defined, assigned or taken as an argument."""
    names = set()
    for node in ast.walk(module):
        match node:
            case ast.alias(name=name, asname=asname):
                names.add((asname or name).split(".")[0])
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
    return names


def _parse(source: str, where: str = "tests") -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        got = f" got {error}"
        if isinstance(error, SyntaxError) and error.lineno:
            got = f" line {error.lineno}: got {error.msg}"
        raise TaskDataError(f"{where}:{got}, expected Python") from error
