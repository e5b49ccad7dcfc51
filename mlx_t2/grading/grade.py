"""What one completion earned, and why: the one meaning of right.

A grade is a verdict on the completion. Where the grader itself fails there is no verdict: it
raises, and never gives a reward of 0. Does not know tasks, nor what rewards are used for.
"""

import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsFloat

from mlx_t2.errors import TaskDataError

_SHOWN = 40
"""Longest text quoted in a reason [characters]."""


@dataclass(frozen=True)
class Grade:
    """What one completion earned, and why.

    Numbers of NumPy or MLX become Python's, and True is 1.

    Raises: TaskDataError where the reward is not a finite number, or `is_right` is neither true
        nor false.
    """

    reward: float
    """What training maximises; usually 1 or 0."""
    is_right: bool
    """What accuracy counts."""
    reason: str
    """A few words: "right", "got '37', expected '84'"."""
    is_strict: bool | None = None
    """Right, and in the form that was asked for; None: as `is_right`."""
    is_lenient: bool | None = None
    """Right, whatever the form and even if cut off; None: as `is_right`."""

    def __post_init__(self) -> None:
        reward, is_right = read_number(self.reward), read_number(self.is_right)
        if reward is None:
            raise TaskDataError(
                f"grade: got reward {describe(self.reward)}, expected a finite number"
            )
        if is_right not in (0, 1):
            raise TaskDataError(
                f"grade: got is_right {describe(self.is_right)}, expected True or False"
            )
        object.__setattr__(self, "reward", reward)
        object.__setattr__(self, "is_right", bool(is_right))
        for name in ("is_strict", "is_lenient"):
            given = getattr(self, name)
            object.__setattr__(self, name, bool(is_right if given is None else given))


def read_number(value: Any) -> float | None:
    """One number of any library as Python's; None for anything else, and for NaN and infinity.

    >>> read_number(True), read_number("1"), read_number(float("inf"))
    (1.0, None, None)
    """
    if not isinstance(value, SupportsFloat) or getattr(value, "shape", ()) != ():
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def describe(value: Any) -> str:
    """A value and its kind, on one line.

    >>> describe("high")
    "'high' (str)"
    """
    return f"{' '.join(_short(reprlib.repr(value)).split())} ({type(value).__name__})"


@dataclass(frozen=True)
class Attempt:
    """A completion beside what is known of its question."""

    question: str
    """Identity of the question."""
    answer: str
    """A right answer."""
    completion: str
    row: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The row of the question, for graders that need more than the answer: options, tests."""


@dataclass(frozen=True, kw_only=True)
class Grader:
    """What is right, in code and in words."""

    grade: Callable[[Sequence[Attempt]], list[Grade]]
    """One grade per attempt, in order, for any text.

    Raises: SandboxError where it cannot find a verdict.
    """
    rule: str
    """The reward in words: "1 for the number alone, else 0"."""
    worst_reward: float = 0.0
    """The least that a wrong completion can earn."""
    begin: Callable[[Sequence[Attempt]], Callable[[], list[Grade]]] | None = None
    """Start grading and return at once; what it returns waits for the grades. For graders that
    work outside this process, beside whatever is done meanwhile.
    """
    check: Callable[[str, Mapping[str, Any], str], None] = lambda answer, row, where: None
    """Refuses a reference that no completion could equal: (answer, row, where it is).

    Raises: TaskDataError.
    """


RIGHT = Grade(1.0, True, "right")
"""The grade of a right answer where there is nothing between right and wrong."""


def wrong(reason: str) -> Grade:
    """The grade of a wrong answer where there is nothing between right and wrong.

    >>> wrong("not an allowed expression").reward
    0.0
    """
    return Grade(0.0, False, reason)


def grade_text(got: str, expected: str) -> Grade:
    """Right where the two texts are the same.

    >>> grade_text("84", "84").is_right
    True
    >>> grade_text("37", "84").reason
    "got '37', expected '84'"
    """
    return RIGHT if got == expected else wrong(mismatch(repr(got), repr(expected)))


def cut_off(tokens: int, worst_reward: float, graded: Grade | None = None) -> Grade:
    """The grade of a completion that the limit ended: it has not answered, whatever it says.

    It is never right, and no wrong answer earns less. Whether its text was right as far as it
    goes is kept as `is_lenient`.

    graded: what its text earned.

    >>> cut_off(14, -1.0).reason
    'cut off at 14 tokens'
    """
    is_lenient = graded is not None and graded.is_lenient
    return Grade(
        worst_reward,
        False,
        f"cut off at {tokens} tokens",
        is_strict=False,
        is_lenient=is_lenient,
    )


def mismatch(got: str, expected: str) -> str:
    """A reason that names both values, long ones shortened.

    >>> mismatch("[1, 2]", "3")
    'got [1, 2], expected 3'
    """
    return f"got {_short(got)}, expected {_short(expected)}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
