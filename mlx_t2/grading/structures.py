r"""LaTeX answers taken apart: tuples, intervals, sets, lists, unions, inequalities, matrices.

An order counts in tuples, intervals and matrices, not in sets, bare lists and unions; the ends
of an interval count. `x < 3` is `(-\infty,3)`, `x \in [1,2]` and `x = 5` are `[1,2]` and `5`,
`\pm 2` is the list `2, -2`. Does not know what the parts are worth.
"""

from dataclasses import dataclass

from .latex import Tokens, is_text

_OPEN, _CLOSE = ("(", "[", "{", "\\{", "\\langle"), (")", "]", "}", "\\}", "\\rangle")
_INFINITY: Tokens = ("\\infty",)
_LESS = {"<": "(", "\\leq": "[", "\\lt": "("}
_MORE = {">": "(", "\\geq": "[", "\\gt": "("}


@dataclass(frozen=True)
class Structure:
    """Parts, and what holds them together."""

    ends: tuple[str, str]
    """The brackets, ("", "") for a bare list, ("union", "") and ("matrix", "") for these."""
    parts: tuple[Tokens, ...]
    is_ordered: bool


def take_apart(tokens: Tokens) -> Structure | None:
    """The structure of an answer; None where it is one expression."""
    tokens = strip_name(tokens)
    if parts := _branches(tokens):
        return Structure(("", ""), parts, False)
    if interval := _interval(tokens):
        return interval
    parts = split_at(tokens, ("\\cup",))
    if len(parts) > 1:
        return Structure(("union", ""), parts, False)
    if tokens[:2] == ("\\begin", "{"):
        return _matrix(tokens)
    parts = split_at(tokens, (",", ";"), words=("and", "or"))
    if len(parts) > 1:
        parts = tuple(part for part in parts if part)
        is_union = all(_interval(part) for part in parts)
        return Structure(("union" if is_union else "", ""), parts, False)
    return _bracketed(tokens)


def strip_name(tokens: Tokens) -> Tokens:
    r"""Without `x =`, `f(x) =` or `x \in` before it.

    >>> strip_name(("x", "=", "5"))
    ('5',)
    """
    for size in (1, 4):
        name = tokens[:size]
        is_name = len("".join(name[:1])) == 1 and name[0].isalpha()
        is_call = size == 1 or (len(name) == 4 and (name[1], name[3]) == ("(", ")"))
        marks = ("=", "\\in") if size == 1 else ("=",)
        if is_name and is_call and tokens[size : size + 1] and tokens[size] in marks:
            rest = tokens[size + 1 :]
            return rest if rest and not {"="} & set(split_at(rest, (",",))[0]) else tokens
    return tokens


def split_at(
    tokens: Tokens, marks: tuple[str, ...], words: tuple[str, ...] = ()
) -> tuple[Tokens, ...]:
    r"""Parts between the marks that are in no bracket.

    words: of `\text{…}` or bare, that are marks too.
    """
    parts: list[list[str]] = [[]]
    depth = at = 0
    while at < len(tokens):
        token = tokens[at]
        depth += (token in _OPEN) - (token in _CLOSE)
        word = token[token.find("{") + 1 : -1].strip(" ,") if is_text(token) else ""
        spelt = next((w for w in words if tokens[at : at + len(w)] == tuple(w)), "")
        is_mark = depth == 0 and (token in marks or (word and word in words) or spelt != "")
        if is_mark:
            parts.append([])
        else:
            parts[-1].append(token)
        at += len(spelt) if is_mark and spelt else 1
    return tuple(tuple(part) for part in parts)


def _branches(tokens: Tokens) -> tuple[Tokens, ...]:
    r"""Both values of one `\pm`."""
    if tokens.count("\\pm") != 1:
        return ()
    at = tokens.index("\\pm")
    plus = ("+",) if at else ()
    return (
        (*tokens[:at], *plus, *tokens[at + 1 :]),
        (*tokens[:at], "-", *tokens[at + 1 :]),
    )


def _interval(tokens: Tokens) -> Structure | None:
    """An inequality of one letter as an interval."""
    signs = [at for at, token in enumerate(tokens) if token in _LESS or token in _MORE]
    if len(signs) == 1:
        left, sign, right = tokens[: signs[0]], tokens[signs[0]], tokens[signs[0] + 1 :]
        is_less = sign in _LESS
        if _is_letter(right) and left:
            left, right, is_less = right, left, not is_less
        if not _is_letter(left) or not right:
            return None
        end = (_LESS | _MORE)[sign]
        if is_less:
            closing = ")" if end == "(" else "]"
            return Structure(("(", closing), (("-", *_INFINITY), right), True)
        return Structure((end, ")"), (right, _INFINITY), True)
    if len(signs) == 2:
        first, second = signs
        low, middle, high = tokens[:first], tokens[first + 1 : second], tokens[second + 1 :]
        kind = _LESS if tokens[first] in _LESS else _MORE
        if not (low and high and _is_letter(middle) and tokens[second] in kind):
            return None
        ends = kind[tokens[first]], kind[tokens[second]]
        if kind is _MORE:
            low, high, ends = high, low, ends[::-1]
        return Structure((ends[0], ")" if ends[1] == "(" else "]"), (low, high), True)
    return None


def _is_letter(tokens: Tokens) -> bool:
    return len(tokens) == 1 and len(tokens[0]) == 1 and tokens[0].isalpha()


def _bracketed(tokens: Tokens) -> Structure | None:
    if len(tokens) < 3 or tokens[0] not in ("(", "[", "\\{", "\\langle"):
        return None
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0 and at < len(tokens) - 1:
            return None
    if depth != 0:
        return None
    is_set = tokens[0] == "\\{"
    parts = split_at(tokens[1:-1], (",", ";"))
    if len(parts) == 1 and not is_set:
        return None
    return Structure(("", "") if is_set else (tokens[0], tokens[-1]), parts, not is_set)


def _matrix(tokens: Tokens) -> Structure | None:
    """Entries of a matrix, row by row; the number of columns is a part too."""
    if "}" not in tokens or "\\end" not in tokens:
        return None
    if "}" in tokens[tokens.index("\\end") : -1]:  # it goes on after the matrix
        return None
    inner = tokens[tokens.index("}") + 1 : tokens.index("\\end")]
    rows = [row for row in split_at(inner, ("\\\\",)) if row]
    entries = [entry for row in rows for entry in split_at(row, ("&",))]
    return Structure(("matrix", ""), ((str(len(rows)),), *entries), True)
