r"""Whether two answers of mathematics are the same: yes, no, or not known.

In turn, the first verdict final: the same tokens; words; two exact numbers; times, ratios and
numbers in a base; structures, part by part; the value of expressions; and where all of these
say nothing, math-verify, if it is installed, in a process that is killed after three seconds.

Policies: percent signs, degrees and units are not compared; a base counts only where both have
one (`101` is `101_2`); three digits or more of a root or a fraction without end are enough.
Does not know completions.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from importlib.util import find_spec

from .arithmetic import (
    Node,
    find_exact,
    find_names,
    find_value,
    is_same_function,
    parse_expression,
)
from .killable import Killable, TookTooLong
from .latex import Tokens, read_tokens, read_words, write_tokens
from .numbers import Number, is_near, is_rounded, is_same_number, parse_number
from .structures import Structure, split_at, strip_name, take_apart

_LONGEST, _DEPTH = 300, 40
"""Longest and deepest answer that math-verify is asked about."""
_LIMIT_S = 3.0
_PARTS = 40
"""Most parts that are compared one with another."""
_BASE = re.compile(r"([0-9A-F]+)_\{([0-9]{1,2})\}")
_CLOCK = re.compile(r"([0-9]{1,3}):([0-9]{1,3})(?::([0-9]{1,3}))?(\\text\{[^{}]*\}|[A-Za-z.]*)")
_FACTORIAL = re.compile(r"([0-9]{3,}|\}|\)) *!")
_TOWER = re.compile(r"\^[ {(]*[^+=,]{0,40}\^")
_PROCESS = Killable("latex")


def is_equal(got: str, expected: str, may_ask: bool = True) -> bool | None:
    r"""Whether two answers are the same; None where that cannot be seen.

    may_ask: whether math-verify may be asked.

    >>> is_equal(r"\frac12", "0.5"), is_equal("x<3", r"(-\infty,3)"), is_equal("2,1", "1, 3")
    (True, True, False)
    """
    if got.strip() == expected.strip():
        return True
    if len(got) > 8 * len(expected) + 80:
        return False
    verdict = _compare_words(got, expected)
    if verdict is None:
        verdict = _compare(read_tokens(got), read_tokens(expected))
    if verdict is None and may_ask:
        verdict = _ask(got, expected)
    return verdict


def can_ask() -> bool:
    """Whether math-verify is installed."""
    return find_spec("math_verify") is not None


def _compare_words(got: str, expected: str) -> bool | None:
    words = read_words(expected)
    if not words or (len(words) == 1 and len(words[0]) == 1 and "text" not in expected):
        return None
    return read_words(got) == words


def _compare(got: Tokens, expected: Tokens) -> bool | None:
    if got == expected:
        return True
    for compare in (_compare_clocks, _compare_bases):
        if (verdict := compare("".join(got), "".join(expected))) is not None:
            return verdict
    left, right = take_apart(got), take_apart(expected)
    if left is not None or right is not None:
        return _compare_structures(got, expected, left, right)
    return _compare_expressions(got, expected)


def _compare_clocks(got: str, expected: str) -> bool | None:
    """Times and ratios, number by number; what follows counts where both have it."""
    left, right = _CLOCK.fullmatch(got), _CLOCK.fullmatch(expected)
    if left is None and right is None:
        return None
    if left is None or right is None:
        return False
    halves = [re.sub("[^a-z]", "", m[4].lower().replace("\\text", "")) for m in (left, right)]
    same = [
        int(a or 0) == int(b or 0)
        for a, b in zip(left.groups()[:3], right.groups()[:3], strict=True)
    ]
    return all(same) and ("" in halves or halves[0] == halves[1])


def _compare_bases(got: str, expected: str) -> bool | None:
    left, right = _BASE.fullmatch(got), _BASE.fullmatch(expected)
    if left is None and right is None:
        return None
    digits = [m[1] if m else text for m, text in ((left, got), (right, expected))]
    bases = {m[2] for m in (left, right) if m}
    return digits[0] == digits[1] and len(bases) == 1


def _compare_structures(
    got: Tokens, expected: Tokens, left: Structure | None, right: Structure | None
) -> bool | None:
    if left is None or right is None:
        whole, parts = (got, right) if left is None else (expected, left)
        if parts is not None and parts.ends == ("", "") and len(parts.parts) == 1:
            return _compare(strip_name(whole), parts.parts[0])
        return None if "\\ldots" in got or _is_worded(got) or _is_worded(expected) else False
    if len(left.parts) != len(right.parts):
        return False
    if len(left.parts) > _PARTS:
        return None
    bare, round_ = ("", ""), ("(", ")")
    is_tuple = {left.ends, right.ends} == {bare, round_}
    if left.ends != right.ends and not is_tuple:
        return False
    if left.is_ordered or right.is_ordered:
        return _all(
            [
                _compare(strip_name(a), strip_name(b))
                for a, b in zip(left.parts, right.parts, strict=True)
            ]
        )
    return _match(left.parts, right.parts)


def _is_worded(tokens: Tokens) -> bool:
    return any(len(token) > 2 and token.startswith("\\text") for token in tokens)


def _match(got: Sequence[Tokens], expected: Sequence[Tokens]) -> bool | None:
    """Whether each part of one is a part of the other, in any order, each used once."""
    waiting = list(got)
    unknown = False
    for part in expected:
        verdicts = [_compare(strip_name(other), strip_name(part)) for other in waiting]
        if True in verdicts:
            del waiting[verdicts.index(True)]
        elif None in verdicts:
            unknown = True
        else:
            return False
    return None if unknown else True


def _all(verdicts: Sequence[bool | None]) -> bool | None:
    return False if False in verdicts else None if None in verdicts else True


def _compare_expressions(got: Tokens, expected: Tokens) -> bool | None:
    sides = split_at(got, ("=",)), split_at(expected, ("=",))
    if len(sides[0]) == len(sides[1]) == 2:
        return _compare_equations(sides[0], sides[1])
    got, expected = strip_name(got), strip_name(expected)
    if got == expected:
        return True
    left, right = parse_number("".join(got)), parse_number("".join(expected))
    if left is not None and right is not None and "!" not in (*got, *expected):
        return is_same_number(left, right) or is_rounded(left, right.value)
    if _is_word(got) or _is_word(expected):
        return None
    trees = parse_expression(got), parse_expression(expected)
    if trees[0] is None or trees[1] is None:
        return None
    exact = find_exact(trees[0]), find_exact(trees[1])
    if exact[0] is not None and exact[1] is not None:
        return exact[0] == exact[1]
    if left is not None and "\\sqrt" in expected and left.places:
        return _is_rounded_root(left, trees[1])
    return is_same_function(trees[0], trees[1])


def _compare_equations(got: Sequence[Tokens], expected: Sequence[Tokens]) -> bool | None:
    """Whether the differences of both sides are multiples of one another."""
    if strip_name(join := (*got[0], "=", *got[1])) != join:
        names = got[0] == expected[0]
        values = _compare_expressions(got[1], expected[1])
        if names or values is False:
            return values
    trees = [parse_expression(side) for side in (*got, *expected)]
    left, low, right, high = trees
    if left is None or low is None or right is None or high is None:
        return None
    one, other = ("-", left, low), ("-", right, high)
    factors = [_ratio(one, other, point) for point in (0.7, 1.3, 2.1)]
    if None in factors:
        return None
    first = factors[0] or 0
    return all(abs(f - first) <= 1e-9 * abs(first) for f in factors if f is not None)


def _ratio(one: Node, other: Node, point: float) -> complex | None:
    names = sorted(find_names(one) | find_names(other))
    values = {name: point * (1 + 0.37 * at) + 0.11 * at * at for at, name in enumerate(names)}
    top, low = find_value(one, values), find_value(other, values)
    return None if top is None or low is None else top / low


def _is_rounded_root(got: Number, expected: Node) -> bool:
    value = find_value(expected, {})
    if value is None or value.imag or find_names(expected):
        return False
    return is_near(got, Fraction(value.real))


def _is_word(tokens: Tokens) -> bool:
    """Letters that are a word or a sequence, not a product: `ABC` is not `CBA`."""
    text = "".join(tokens)
    return bool(re.search(r"(?<!\\)\b[A-Za-z]*(?:[A-Z]{2}|[A-Za-z]{4})", text))


def _ask(got: str, expected: str) -> bool | None:
    """What math-verify says; None where it is not installed, not to be asked, or too slow."""
    pair = write_tokens(read_tokens(got)), write_tokens(read_tokens(expected))
    if not all(_is_harmless(text) for text in pair) or not can_ask():
        return None
    try:
        return _PROCESS.ask({"got": pair[0], "expected": pair[1]}, _LIMIT_S) or None
    except (TookTooLong, ValueError):
        return None


def _is_harmless(text: str) -> bool:
    """Whether an answer is short and flat and has nothing in it that explodes."""
    depth = deepest = 0
    for character in text[: _LONGEST + 1]:
        depth += (character in "({[") - (character in ")}]")
        deepest = max(deepest, depth)
    is_small = 0 < len(text) <= _LONGEST and deepest <= _DEPTH
    has_mathematics = re.search(r"[\\0-9^=<>|]", text) is not None
    is_plain = not (_FACTORIAL.search(text) or _TOWER.search(text) or "\\ldots" in text)
    return is_small and has_mathematics and is_plain and "\\forall" not in text
