r"""A completion graded by the number that it states.

The number is the last one stated with a mark; where nothing is, the whole completion, and else
its last number, parentheses ("18 eggs (not 20)") and list markers ("4. Done") aside. Equal
means equal exactly, but for three or more digits of a fraction without end (0.333 for 1/3).

Does not know LaTeX beyond what numbers are written with, nor where references are from.
"""

import re
from collections import deque

from mlx_t2.errors import TaskDataError

from .answers import final_text, find_statements, is_stated_once, read_last, unwrap
from .grade import RIGHT, Grade, mismatch, wrong
from .numbers import (
    Number,
    find_numbers,
    is_rounded,
    is_same_number,
    parse_number,
    spell,
)

_SPAN = 300
"""Longest span that is read for its number [characters]."""
_TAIL = 4000
"""Characters at the end that are searched for the last number, before all are."""
_PARENTHESES = re.compile(r"\([^()\n]{0,200}\)")
_MARKER = re.compile(
    r"^ {0,8}(?:[0-9]{1,2}[.)]|[-*#]+|step [0-9]{1,2}[:.]?) +(?=\S)", re.M | re.I
)
_OPERATOR = re.compile(r" ?(?:[-+*/^]|\\times|\\cdot|\\div|x) ?[0-9(\\]")
_LEAD = re.compile(
    r"[\s({\[\"'“:=≈]*(?:(?:approximately|about|exactly|only|\\approx)[\s=≈]*)?[\s({\[\"'“]*"
)
_LETTERS = re.compile(r"[A-Za-z]{2}|[A-Za-z] *=")
_LATEX = re.compile(r"\\[A-Za-z]+")


def grade_number(completion: str, answer: str, form: str = "any") -> Grade:
    r"""Right where the number that is stated last is the reference's.

    form: what the prompt asks for, for `is_strict`: "####", "boxed", "alone" or "any". Strict
        also means that nothing else is stated in that form.

    >>> grade_number("He has 7 * 12 = 84 eggs.\n#### 84", "84", form="####").is_strict
    True
    >>> grade_number("The answer is 37.", "84").reason
    'got 37, expected 84'
    """
    expected = read_reference(answer)
    if expected is None:
        return wrong(f"the reference is not a number: {mismatch(repr(answer), 'a number')}")
    text = final_text(completion)
    if text is None:
        return wrong("still thinking: no answer after <think>")
    statements = find_statements(text)
    stated = read_last(statements, _read_stated)
    if stated is not None and stated[1] is None:
        shown = "a box that is not closed" if stated[0].text is None else repr(stated[0].text)
        return wrong(mismatch(shown, str(expected)))
    got = stated[1] if stated is not None else parse_number(text) or find_last_number(text)
    if got is None:
        return wrong(mismatch("no number", str(expected)))
    is_exact = is_same_number(got, expected)
    if not is_exact and not is_rounded(got, expected.value):
        return wrong(mismatch(str(got), str(expected)))
    used = stated[0].form if stated is not None else "alone" if _is_alone(text) else "text"
    is_once = is_stated_once(statements, used, _read_stated)
    return grade_form(used, form, is_once, "" if is_exact else ", rounded")


def read_reference(answer: str) -> Number | None:
    """The number of a reference: alone, or marked at the end of a worked solution.

    >>> str(read_reference("She has 2 + 3 = 5 eggs.\\n#### 5"))
    '5'
    """
    whole = parse_number(unwrap(answer[-2000:]))
    if whole is not None:
        return whole
    stated = read_last(find_statements(answer[-20_000:]), _read_stated)
    return None if stated is None else stated[1]


def check_number(answer: str, where: str = "answer") -> None:
    """Refuses a reference that no completion could equal.

    Raises: TaskDataError.
    """
    if read_reference(answer) is None:
        raise TaskDataError(f"{where}: {mismatch(repr(answer), 'a number')}")


def grade_form(used: str, form: str, is_once: bool, remark: str = "") -> Grade:
    """The grade of a right answer, by the form it is in.

    used: the form it is in; form: the one that was asked for.

    >>> grade_form("boxed", "####", True).reason
    'right, but not in the form asked (####)'
    """
    if form == "any":
        return RIGHT if not remark else Grade(1.0, True, f"right{remark}")
    if used != form:
        reason = f"right{remark}, but not in the form asked ({form})"
    elif form != "alone" and not is_once:
        reason = f"right{remark}, but other answers are stated too ({form})"
    else:
        return Grade(1.0, True, f"right{remark}")
    return Grade(1.0, True, reason, is_strict=False)


def _read_stated(text: str) -> Number | None:
    """What a marked span states: the number it is, begins with or, in a sentence, ends with."""
    text = unwrap(text)
    if (whole := parse_number(text)) is not None:
        return whole
    line = spell(text[:_SPAN]).strip()
    bare = _PARENTHESES.sub(" ", line)
    line = bare if any(find_numbers(bare)) else line
    side = re.split(r"=|≈|\\approx", line)[-1] if "=" in line or "≈" in line else line
    lead = _LEAD.match(side)
    start = lead.end() if lead else 0
    found = list(find_numbers(side))
    for number in found[:1]:
        if number.start == start and not _OPERATOR.match(side, number.end):
            return number.number
    return found[-1].number if found else None


def find_last_number(text: str) -> Number | None:
    """The last number of a text; in parentheses and of list markers only where it has no other.

    >>> str(find_last_number("18 eggs (not 20)"))
    '18'
    """
    for part in (text[-_TAIL:], text):
        spelt = spell(part)
        for candidate in (_PARENTHESES.sub(" ", _MARKER.sub("", spelt)), spelt):
            if found := deque(find_numbers(candidate), maxlen=1):
                return found[0].number
    return None


def _is_alone(text: str) -> bool:
    bare = _LATEX.sub(" ", text)
    return parse_number(text) is not None and not _LETTERS.search(bare)
