r"""The stated answer of a completion: where a model says what it means, the last place winning.

Marks, in any mixture: `#### 5`, `\boxed{5}`, `\fbox{5}` and `\boxed 5`, `<answer>5</answer>`,
"the answer is 5" and "Answer: 5" with whatever markdown. Braces are counted, not matched by a
pattern; thinking up to `</think>` is not part of the answer. Boxes and tags are strong: empty,
malformed or cut off, they answer nothing, and an earlier answer does not count instead. The
other marks count where something readable follows.

Only the last 20,000 characters are read. Does not know what kind of answer is meant.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")

FORMS = ("any", "####", "boxed", "alone")
"""Forms that a prompt can ask for: a mark, or nothing but the answer."""
_READ = 20_000
"""Characters read, from the end."""
_SPAN = 300
"""Longest answer after `####` or a phrase [characters]."""
_STATEMENTS = 20
"""Statements read, from the last one."""
_HASHES = re.compile(r"(?<!#)####(?!#)[*_` ]*\n?([^\n]*)")
_PHRASE = re.compile(
    r"\banswers?\b[*_`\"')]{0,4}(?: \([^)\n]{0,40}\))?"
    r"(?:[^.\n:=?!#]{0,60}?\b(?:is|are|was|be|equals)\b ?[:=]?| ?[:=]| {0,4}(?=\n))"
    r"[*_` ]*\n?\n?([^\n]*)",
    re.IGNORECASE,
)
_TAG = re.compile(r"<answer>([^<]*)(</answer>)?", re.IGNORECASE)
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])[ ]*")
_BARE_BOX = re.compile(r"(?:([^$\n{}]*?)\$|([^\s$.,;]+))")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """An answer as stated in one place."""

    form: str
    """The mark: "####", "boxed", "answer tag" or "phrase"."""
    text: str | None
    """What is stated; None where the mark is not closed or malformed."""
    start: int
    """Where in the text the mark is."""

    @property
    def is_strong(self) -> bool:
        """Whether the mark is never there by chance."""
        return self.form in ("boxed", "answer tag")


def final_text(completion: str) -> str | None:
    """The completion after its thinking, and no more than its end; None while it still thinks.

    >>> final_text("<think>5?</think> 6"), final_text("<think>5?")
    (' 6', None)
    """
    start = completion.rfind("</think>")
    if start >= 0:
        completion = completion[start + len("</think>") :]
    elif "<think>" in completion:
        return None
    return completion[-_READ:]


def find_statements(text: str) -> list[Statement]:
    r"""Every statement of an answer, in order of where it begins.

    >>> [s.text for s in find_statements(r"The answer is 4. No: \\boxed{\\frac{1}{3}}")]
    ['4. No: \\\\boxed{\\\\frac{1}{3}}', '\\\\frac{1}{3}']
    """
    found = [*_boxes(text)]
    found += [Statement("####", m[1][:_SPAN], m.start()) for m in _HASHES.finditer(text)]
    found += [Statement("phrase", m[1][:_SPAN], m.start()) for m in _PHRASE.finditer(text)]
    found += [
        Statement("answer tag", m[1] if m[2] else None, m.start()) for m in _TAG.finditer(text)
    ]
    return sorted(found, key=lambda statement: statement.start)


def read_last(
    statements: list[Statement], read: Callable[[str], Value | None]
) -> tuple[Statement, Value | None] | None:
    """The last statement that counts, with what it says; None where nothing is stated.

    A strong mark counts whether or not it can be read.
    """
    for statement in reversed(statements[-_STATEMENTS:]):
        value = None if statement.text is None else read(statement.text)
        if value is not None or statement.is_strong:
            return statement, value
    return None


def is_stated_once(
    statements: list[Statement], form: str, read: Callable[[str], Value | None]
) -> bool:
    """Whether all that is stated in a form is one value."""
    values = {
        None if s.text is None else read(s.text)
        for s in statements[-_STATEMENTS:]
        if s.form == form
    }
    return len(values) == 1


def unwrap(text: str) -> str:
    r"""The content of a box that is the whole text, however often it is boxed; else the text.

    >>> unwrap("\\boxed{\\boxed{5}}")
    '5'
    """
    for _ in range(8):
        boxes = [*_boxes(text.strip())]
        inner = boxes[0].text if boxes and boxes[0].start == 0 else None
        if inner is None or f"{inner}}}" != text.strip()[-len(inner) - 1 :]:
            return text
        text = inner
    return text


def _boxes(text: str) -> Iterator[Statement]:
    """Boxes that are not inside another one; one pass over the braces serves them all."""
    marks = [*_BOX.finditer(text)]
    closing = _closing_braces(text) if marks else {}
    end = 0
    for mark in marks:
        if mark.start() < end:
            continue
        start = mark.end()
        if text[start : start + 1] != "{":
            bare = _BARE_BOX.match(text, start)
            inner = (bare[1] or bare[2]) if bare else None
            yield Statement("boxed", inner, mark.start())
            continue
        close = closing.get(start)
        if close is None or text[close + 1 : close + 2] == "{":
            yield Statement("boxed", None, mark.start())
        else:
            yield Statement("boxed", text[start + 1 : close], mark.start())
        end = len(text) if close is None else close + 1


def _closing_braces(text: str) -> dict[int, int]:
    r"""Where each brace that is closed is closed; `\{` and `\}` do not count."""
    open_at: list[int] = []
    closing = {}
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            open_at.append(match.start())
        elif match[0] == "}" and open_at:
            closing[open_at.pop()] = match.start()
    return closing
