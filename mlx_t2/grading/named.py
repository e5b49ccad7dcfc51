"""Graders by name, with their settings: what a task file or a flag can ask for.

Every grader is total over completions: any text earns a grade with a reason. A reference that
no completion could equal is refused by `Grader.check`, before anything is graded against it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlx_t2.errors import ConfigError, TaskDataError

from .answers import FORMS
from .choices import check_choice, grade_choice, name_options
from .code import make_code_grader
from .grade import Attempt, Grade, Grader, describe
from .patterns import check_pattern, check_reference_pattern, grade_regex
from .stated_math import check_math, grade_math
from .stated_number import check_number, grade_number
from .texts import check_text, grade_contains, grade_exact


def make_grader(name: str, **settings: Any) -> Grader:
    """The grader of a name.

    exact, contains: ignore_case (False). number, math: form ("any", "####", "boxed", "alone"):
    what the prompt asks for. choice: options (texts or {key: text}; else each row's "options"),
    by ("key" or "text"). regex: pattern (else each answer is one). code: tests (the column that
    has them, "tests"), allow_unsandboxed (False).

    Raises: ConfigError for an unknown name, setting or value.

    >>> [grade] = make_grader("number").grade([Attempt("q", "84", "It is 37.")])
    >>> grade.reason
    'got 37, expected 84'
    """
    if name not in _MAKERS:
        known = ", ".join(GRADER_NAMES)
        raise ConfigError(f"grader: got {describe(name)}, expected one of {known}")
    make, known = _MAKERS[name]
    for setting in settings:
        if setting not in known:
            raise ConfigError(
                f"grader {name}: got setting {describe(setting)}, expected "
                f"{', '.join(known) or 'none'}"
            )
    return make(**settings)


def _make_exact(ignore_case: Any = False) -> Grader:
    _check_flag("exact", "ignore_case", ignore_case)
    return Grader(
        grade=_each(lambda a: grade_exact(a.completion, a.answer, ignore_case)),
        rule="1 for the answer itself, else 0",
        check=lambda answer, row, where: check_text(answer, where),
    )


def _make_contains(ignore_case: Any = False) -> Grader:
    _check_flag("contains", "ignore_case", ignore_case)
    return Grader(
        grade=_each(lambda a: grade_contains(a.completion, a.answer, ignore_case)),
        rule="1 where the answer is in the completion, else 0",
        check=lambda answer, row, where: check_text(answer, where),
    )


def _make_number(form: Any = "any") -> Grader:
    _check_value("number", "form", form, FORMS)
    return Grader(
        grade=_each(lambda a: grade_number(a.completion, a.answer, form)),
        rule="1 for the number stated last, else 0",
        check=lambda answer, row, where: check_number(answer, where),
    )


def _make_math(form: Any = "any") -> Grader:
    _check_value("math", "form", form, FORMS)
    return Grader(
        grade=_each(lambda a: grade_math(a.completion, a.answer, form)),
        rule="1 for the answer stated last, else 0",
        check=lambda answer, row, where: check_math(answer, where),
    )


def _make_choice(options: Any = None, by: Any = "key") -> Grader:
    _check_value("choice", "by", by, ("key", "text"))
    shared = None if options is None else read_options(options, "grader choice")

    def options_of(row: Mapping[str, Any], where: str) -> Mapping[str, str]:
        if shared is not None or "options" not in row:
            return shared or {}
        return read_options(row["options"], where)

    def grade(attempt: Attempt) -> Grade:
        options = options_of(attempt.row, attempt.question)
        return grade_choice(attempt.completion, attempt.answer, options, by)

    def check(answer: str, row: Mapping[str, Any], where: str) -> None:
        check_choice(answer, options_of(row, where), by, where)

    return Grader(grade=_each(grade), rule="1 for the right option, else 0", check=check)


def _make_regex(pattern: Any = None) -> Grader:
    if pattern is not None:
        check_pattern(pattern)

    def check(answer: str, row: Mapping[str, Any], where: str) -> None:
        if pattern is None:
            check_reference_pattern(answer, where)
        else:
            check_text(answer, where)

    return Grader(
        grade=_each(lambda a: grade_regex(a.completion, a.answer, pattern)),
        rule="1 where the pattern says so, else 0",
        check=check,
    )


def read_options(options: Any, where: str) -> dict[str, str]:
    """Options as {key: text}, from such a mapping or from a list of texts.

    Raises: TaskDataError.
    """
    if isinstance(options, Mapping):
        named = {str(key): text for key, text in options.items()}
    elif isinstance(options, Sequence) and not isinstance(options, str):
        named = name_options(list(options)) if len(options) <= 26 else {}
    else:
        named = {}
    if len(named) < 2 or not all(isinstance(text, str) for text in named.values()):
        raise TaskDataError(
            f"{where}: got options {describe(options)}, expected 2 to 26 texts or {{key: text}}"
        )
    return named


def _each(grade: Callable[[Attempt], Grade]) -> Callable[[Sequence[Attempt]], list[Grade]]:
    return lambda attempts: [grade(attempt) for attempt in attempts]


def _check_flag(name: str, setting: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigError(
            f"grader {name}: got {setting} {describe(value)}, expected true or false"
        )


def _check_value(name: str, setting: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise ConfigError(
            f"grader {name}: got {setting} {describe(value)}, expected {' or '.join(known)}"
        )


_MAKERS: dict[str, tuple[Callable[..., Grader], tuple[str, ...]]] = {
    "exact": (_make_exact, ("ignore_case",)),
    "contains": (_make_contains, ("ignore_case",)),
    "number": (_make_number, ("form",)),
    "math": (_make_math, ("form",)),
    "choice": (_make_choice, ("options", "by")),
    "regex": (_make_regex, ("pattern",)),
    "code": (make_code_grader, ("tests", "allow_unsandboxed")),
}
"""name: (its maker, its settings)."""
GRADER_NAMES = tuple(_MAKERS)
