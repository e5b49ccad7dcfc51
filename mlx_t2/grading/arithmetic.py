r"""The value of a LaTeX expression: exact where it is rational, else at random points.

A grammar of sums, products, fractions, powers, roots, factorials, absolute values and the usual
functions. Two expressions are the same where they agree at several points; points where a value
is not real are no evidence, as the branch of a root is a convention. Whatever is outside the
grammar, or too large to compute at once, is unreadable; nothing is guessed.

Does not know equations, lists or words.
"""

import cmath
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from .latex import Tokens

Node = tuple[Any, ...]
"""("number", text), ("name", letter) or (operation, node, …)."""

_TOKENS, _DEPTH = 200, 40
"""Longest and deepest expression that is read."""
_BITS = 4000
"""Largest exact numerator or denominator [bits]."""
_POINTS = 6
_CLOSE = 1e-11
"""Relative gap under which two values are one: a few hundred roundings of float64."""
_TINY, _HUGE = 1e-200, 1e200
"""Beyond these a value is no evidence: others round to it."""
_ADD = {"+": "+", "-": "-"}
_MULTIPLY = {"*": "*", "\\cdot": "*", "\\times": "*", "/": "/", "\\div": "/"}
_CLOSING = {"(": ")", "{": "}", "[": "]", "|": "|", "\\{": "\\}"}
_NAMES = frozenset(
    ("\\" + name) for name in ("alpha", "beta", "gamma", "theta", "lambda", "phi", "omega")
)
_CONSTANTS = {"\\pi": math.pi, "e": math.e, "i": 1j}


_FUNCTIONS: Mapping[str, Callable[[complex], complex]] = {
    "\\sin": cmath.sin,
    "\\cos": cmath.cos,
    "\\tan": cmath.tan,
    "\\cot": lambda x: 1 / cmath.tan(x),
    "\\sec": lambda x: 1 / cmath.cos(x),
    "\\csc": lambda x: 1 / cmath.sin(x),
    "\\arcsin": cmath.asin,
    "\\arccos": cmath.acos,
    "\\arctan": cmath.atan,
    "\\ln": cmath.log,
    "\\log": cmath.log,
    "\\exp": cmath.exp,
}
_BEGINNINGS = frozenset(["(", "{", "\\frac", "\\sqrt", "\\binom", *_FUNCTIONS])


class Unreadable(ValueError):
    """The expression is outside the grammar."""


def parse_expression(tokens: Tokens) -> Node | None:
    """The tree of an expression; None where it is outside the grammar."""
    if not tokens or len(tokens) > _TOKENS:
        return None
    try:
        return _Parser(tokens).whole()
    except Unreadable:
        return None


def find_exact(node: Node) -> Fraction | None:
    """The value of a rational expression; None where it has names, roots or huge numbers."""
    try:
        return _exact(node)
    except (ArithmeticError, ValueError, RecursionError):
        return None


def is_same_function(a: Node, b: Node) -> bool | None:
    """Whether two expressions agree wherever both are real, tried at several points.

    None where there is no evidence.
    """
    names = sorted(find_names(a) | find_names(b))
    evidence = 0
    for point in range(_POINTS if names else 1):
        sign = -1 if point >= _POINTS - 2 else 1
        values = {
            name: sign * (0.37 + ((point + 1) * 0.754877 + (at + 1) * 0.569840) % 1.0 * 2.3)
            for at, name in enumerate(names)
        }
        left, right = find_value(a, values), find_value(b, values)
        if left is None or right is None:
            continue
        if names and (abs(left.imag) > 1e-12 or abs(right.imag) > 1e-12):
            continue
        if abs(left - right) > _CLOSE * max(abs(left), abs(right)):
            return False
        evidence += 1
    return True if evidence >= min(3, len(names) * 3 + 1) else None


def find_value(node: Node, values: Mapping[str, float]) -> complex | None:
    """The value at a point; None where it is not finite, or no evidence."""
    try:
        value = _numeric(node, values)
    except (ArithmeticError, ValueError, RecursionError):
        return None
    return value if _TINY < abs(value) < _HUGE else None


def find_names(node: Node) -> frozenset[str]:
    """The names of an expression that stand for any number."""
    if node[0] == "name":
        return frozenset() if node[1] in _CONSTANTS else frozenset([node[1]])
    parts = [find_names(part) for part in node[1:] if isinstance(part, tuple)]
    return frozenset().union(*parts)


class _Parser:
    """One pass over the tokens, from left to right."""

    def __init__(self, tokens: Tokens):
        self._tokens, self._at, self._depth = tokens, 0, 0

    def whole(self) -> Node:
        node = self._sum()
        if self._at < len(self._tokens):
            raise Unreadable
        return node

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, token: str = "") -> str:
        got = self._next()
        if not got or (token and got != token):
            raise Unreadable
        self._at += 1
        return got

    def _sum(self) -> Node:
        self._depth += 1
        if self._depth > _DEPTH:
            raise Unreadable
        node = self._signed()
        while self._next() in _ADD:
            sign = self._take()
            node = (sign, node, self._product())
        self._depth -= 1
        return node

    def _signed(self) -> Node:
        if self._next() not in _ADD:
            return self._product()
        sign = self._take()
        node = self._product()
        return ("-", ("number", "0"), node) if sign == "-" else node

    def _product(self) -> Node:
        node = self._power()
        while True:
            if self._next() in _MULTIPLY:
                operation = _MULTIPLY[self._take()]
                is_negative = self._next() == "-"
                if is_negative:
                    self._take()
                factor = self._power()
                node = (operation, node, factor)
                node = ("-", ("number", "0"), node) if is_negative else node
            elif self._is_factor():
                node = ("*", node, self._power())
            else:
                return node

    def _is_factor(self) -> bool:
        """Whether the next token begins a factor; a number after a number does not."""
        token = self._next()
        if token[:1].isdigit() or token == "|":
            return False
        return token in ("(", "{", "\\frac", "\\sqrt", "\\binom", *_FUNCTIONS) or _is_name(
            token
        )

    def _power(self) -> Node:
        node = self._base()
        while self._next() in ("^", "!"):
            node = ("!", node) if self._take() == "!" else ("^", node, self._argument())
        return node

    def _argument(self) -> Node:
        if self._next() == "-":
            self._take()
            return ("-", ("number", "0"), self._base())
        return self._base()

    def _base(self) -> Node:
        token = self._take()
        if token[0].isdigit() or (token[0] == "." and len(token) > 1):
            return ("number", token)
        if token == "\\sqrt":
            index: Node = ("number", "2")
            if self._next() == "[":
                self._take()
                index = self._sum()
                self._take("]")
            return ("root", self._argument(), index)
        if token in ("\\frac", "\\binom"):
            top = self._argument()
            return ("/" if token == "\\frac" else "binom", top, self._argument())
        if token in _FUNCTIONS:
            return self._function(token)
        if token in ("(", "{", "[", "|"):
            node = self._sum()
            self._take(_CLOSING[token])
            return ("abs", node) if token == "|" else node
        if _is_name(token):
            return ("name", token)
        raise Unreadable

    def _function(self, token: str) -> Node:
        power = base = None
        if token == "\\log" and self._next() == "_":
            self._take()
            base = self._argument()
        if self._next() == "^":
            self._take()
            power = self._argument()
        if self._next() in ("(", "{"):
            inner = self._base()
        else:
            self._depth += 1
            if self._depth > _DEPTH:
                raise Unreadable
            inner = self._power()
            while self._is_factor() and self._next() not in _FUNCTIONS:
                inner = ("*", inner, self._power())
            self._depth -= 1
        node: Node = ("call", token, inner)
        if base is not None:
            node = ("/", node, ("call", token, base))
        return node if power is None else ("^", node, power)


def _is_name(token: str) -> bool:
    is_letter = len(token) == 1 and token.isascii() and token.isalpha()
    return is_letter or token in _NAMES or token in _CONSTANTS


def _exact(node: Node) -> Fraction:
    kind = node[0]
    if kind == "number":
        return Fraction(node[1])
    if kind not in ("+", "-", "*", "/", "^", "!", "binom", "abs", "root"):
        raise Unreadable
    parts = [_exact(part) for part in node[1:]]
    value = _EXACT[kind](*parts)
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _BITS:
        raise OverflowError
    return value


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction:
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if exponent.denominator != 1:
        raise Unreadable
    if abs(exponent) * (size if abs(base) != 1 else 0) > _BITS:
        raise OverflowError
    return Fraction(base ** int(exponent if abs(exponent) <= _BITS else exponent % 2))


def _exact_root(value: Fraction, index: Fraction) -> Fraction:
    """A square root that is rational."""
    top, low = (math.isqrt(part) for part in (abs(value.numerator), value.denominator))
    if index != 2 or value < 0 or Fraction(top * top, low * low) != value:
        raise Unreadable
    return Fraction(top, low)


def _factorial(value: Any) -> int:
    count = _whole(value)
    if not 0 <= count <= 200:
        raise OverflowError
    return math.factorial(count)


def _binomial(n: Any, k: Any) -> int:
    n, k = _whole(n), _whole(k)
    if not 0 <= k <= n <= 200:
        raise OverflowError
    return math.comb(n, k)


def _whole(value: Any) -> int:
    if isinstance(value, complex):
        if value.imag or not value.real.is_integer():
            raise Unreadable
        return int(value.real)
    if Fraction(value).denominator != 1:
        raise Unreadable
    return int(value)


_EXACT: Mapping[str, Callable[..., Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": _exact_power,
    "root": _exact_root,
    "abs": lambda a: abs(a),
    "!": lambda a: Fraction(_factorial(a)),
    "binom": lambda a, b: Fraction(_binomial(a, b)),
}
_NUMERIC: Mapping[str, Callable[..., complex]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": lambda a, b: a**b,
    "root": lambda a, n: _real_root(a, n),
    "abs": lambda a: complex(abs(a)),
    "!": lambda a: complex(_factorial(a)),
    "binom": lambda a, b: complex(_binomial(a, b)),
}


def _real_root(value: complex, index: complex) -> complex:
    """The real root of a negative number where the index is odd, else the principal one."""
    if value.imag == 0 and value.real < 0 and index.imag == 0 and index.real % 2 == 1:
        return complex(-((-value.real) ** (1 / index.real)))
    return cmath.sqrt(value) if index == 2 else value ** (1 / index)


def _numeric(node: Node, values: Mapping[str, float]) -> complex:
    kind = node[0]
    if kind == "number":
        return complex(float(Fraction(node[1])))
    if kind == "name":
        return complex(_CONSTANTS.get(node[1], values.get(node[1], 0)))
    if kind == "call":
        return _FUNCTIONS[node[1]](_numeric(node[2], values))
    return _NUMERIC[kind](*(_numeric(part, values) for part in node[1:]))
