r"""A completion graded by the answer of mathematics that it states.

The answer is the last one in a box or tag, else the last one after another mark ("the answer is
positive" may follow a box); where nothing is marked, the whole completion if that is one line
of mathematics, else its last formula, else its last number. Does not know how answers are
compared.
"""

import re

from mlx_t2.errors import TaskDataError

from .answers import final_text, find_statements, is_stated_once, read_last, unwrap
from .equivalence import can_ask, is_equal
from .grade import Grade, mismatch, wrong
from .latex import read_tokens
from .stated_number import find_last_number, grade_form

_LONGEST = 1000
"""Longest answer that is compared [characters]."""
_FORMULA = re.compile(r"\$\$?([^$]{1,400})\$|\\\(([^$]{1,400}?)\\\)|\\\[([^$]{1,400}?)\\\]")
_SENTENCE_END = re.compile(r"(?<=[^.\s])[.;](?=\s|$)|\*\*|,? (?:because|since|so|which)\b")
_WORD = re.compile(r"(?<!\\)\b[A-Za-z]{2,}\b")


def grade_math(completion: str, answer: str, form: str = "any", may_ask: bool = True) -> Grade:
    r"""Right where the answer that is stated last is the reference's.

    form: what the prompt asks for: "####", "boxed", "alone" or "any".
    may_ask: whether math-verify may be asked, where it is installed.

    >>> grade_math(r"So it is $\boxed{\frac12}$.", "0.5", form="boxed").is_strict
    True
    """
    expected = read_math_reference(answer)
    if not expected:
        return wrong(mismatch(f"the reference {answer!r}", "an answer"))
    text = final_text(completion)
    if text is None:
        return wrong("still thinking: no answer after <think>")
    statements = find_statements(text)
    statements = [s for s in statements if s.is_strong] or statements
    stated = read_last(statements, _read_stated)
    if stated is not None and not stated[1]:
        shown = "a box that is not closed" if stated[0].text is None else "an empty box"
        return wrong(mismatch(shown, repr(expected)))
    is_alone = _is_formula(text)
    got = stated[1] if stated is not None else text.strip() if is_alone else _last_formula(text)
    if not got or len(got) > _LONGEST:
        return wrong(mismatch("no answer", repr(expected)))
    verdict = is_equal(got, expected, may_ask)
    if not verdict:
        doubt = ": not equal as far as we can see" if verdict is None else ""
        advice = "; math-verify sees more" if doubt and may_ask and not can_ask() else ""
        return wrong(mismatch(repr(got), repr(expected)) + doubt + advice)
    used = stated[0].form if stated is not None else "alone" if is_alone else "text"
    return grade_form(used, form, is_stated_once(statements, used, _read_stated))


def read_math_reference(answer: str) -> str:
    r"""The answer in a reference: the whole, or what is stated last in a worked solution.

    >>> read_math_reference(r"Since $2+3=5$, it is $\boxed{5}$.")
    '5'
    """
    statements = find_statements(answer[-20_000:])
    stated = read_last([s for s in statements if s.form in ("boxed", "####")], str.strip)
    if stated is not None:
        return unwrap(stated[1] or "").strip()
    return answer.strip() if len(answer) <= _LONGEST else ""


def check_math(answer: str, where: str = "answer") -> None:
    """Refuses a reference that no completion could equal.

    Raises: TaskDataError.
    """
    if not read_tokens(read_math_reference(answer)):
        raise TaskDataError(f"{where}: got {answer[:80]!r}, expected an answer of mathematics")


def _read_stated(text: str) -> str | None:
    """What a marked span states; None where it states nothing."""
    inner = unwrap(text).strip()
    if "$" in inner:
        first, last = inner.index("$"), inner.rindex("$")
        if last > first:
            return inner[first : last + 1].strip()
    sentence = _SENTENCE_END.split(inner.lstrip("*_ "), maxsplit=1)[0].strip()
    return sentence or None


def _is_formula(text: str) -> bool:
    """Whether a whole completion is one line of at most four words, no formula among them."""
    line = text.strip()
    if "$" in line.strip("$*.\\ "):
        return False
    return "\n" not in line and len(line) <= 300 and len(_WORD.findall(line)) <= 4


def _last_formula(text: str) -> str | None:
    formulas = [*_FORMULA.finditer(text.replace("\\$", ""))]
    if formulas:
        formula = next(group for group in formulas[-1].groups() if group)
        return formula.rpartition("=")[2].strip()  # what a calculation ends with
    number = find_last_number(text)
    return None if number is None else str(number)
