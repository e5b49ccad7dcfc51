r"""A completion graded by a pattern: the reference is one, or one captures what is compared.

Patterns are Python's, and some take for ever on some text (`(a+)+$`): they run in a process
that is killed at one second of processor time; the completion is then wrong, and the reason
says so. The last 20,000 characters are searched. Does not know numbers or options.
"""

import re

from mlx_t2.errors import ConfigError, TaskDataError

from .answers import final_text
from .grade import RIGHT, Grade, describe, grade_text, mismatch, wrong
from .killable import Killable, TookTooLong

_LIMIT_S = 1.0
_LONGEST = 1000
"""Longest pattern [characters]."""
_PROCESS = Killable("pattern")


def grade_regex(completion: str, answer: str, pattern: str | None = None) -> Grade:
    r"""Right where the reference, a pattern, matches; or equals what `pattern` captures last.

    pattern: its first group is compared with the reference, or all that it matches.

    >>> grade_regex("Result: 84 eggs", r"\b84\b").is_right
    True
    >>> grade_regex("Result: 84 eggs", "37", r"Result: (\d+)").reason
    "got '84', expected '37'"
    """
    text = final_text(completion)
    if text is None:
        return wrong("still thinking: no answer after <think>")
    request = {"pattern": answer if pattern is None else pattern, "text": text}
    try:
        found = _PROCESS.ask(request, _LIMIT_S)
    except TookTooLong:
        return wrong(f"the pattern took over {_LIMIT_S:g} s on this completion")
    except ValueError as error:
        return wrong(mismatch(f"pattern {request['pattern']!r}", f"a pattern ({error})"))
    if found is None:
        return wrong(mismatch(repr(text.strip()), f"a match of {request['pattern']!r}"))
    return RIGHT if pattern is None else grade_text(found.strip(), answer.strip())


def check_reference_pattern(answer: str, where: str) -> None:
    """Refuses a reference that is not a pattern.

    Raises: TaskDataError.
    """
    if fault := find_fault(answer):
        raise TaskDataError(f"{where}: got {answer[:80]!r}, expected a pattern: {fault}")


def check_pattern(pattern: object) -> None:
    """Refuses a setting that is not a pattern.

    Raises: ConfigError.
    """
    fault = find_fault(pattern) if isinstance(pattern, str) else "not a text"
    if fault:
        raise ConfigError(
            f"grader regex: got pattern {describe(pattern)}, expected a pattern: {fault}"
        )


def find_fault(pattern: str) -> str | None:
    """What is wrong with a pattern; None where nothing is.

    >>> find_fault("(a"), find_fault("a")
    ('missing ), unterminated subpattern at position 0', None)
    """
    if not 0 < len(pattern) <= _LONGEST:
        return f"{len(pattern)} characters, not 1 to {_LONGEST}"
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return str(error)
    return None
