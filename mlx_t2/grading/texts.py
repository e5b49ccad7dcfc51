"""A completion graded as a text: the same, or with the reference in it.

Spaces at the ends never count. Does not know numbers, options or patterns.
"""

from mlx_t2.errors import TaskDataError

from .answers import final_text
from .grade import RIGHT, Grade, grade_text, mismatch, wrong


def grade_exact(completion: str, answer: str, ignore_case: bool = False) -> Grade:
    """Right where the completion is the reference, spaces at the ends aside.

    >>> grade_exact(" Paris\\n", "Paris").is_right, grade_exact("paris", "Paris").is_right
    (True, False)
    """
    got, expected = completion.strip(), answer.strip()
    if ignore_case and got.casefold() == expected.casefold():
        return RIGHT
    return grade_text(got, expected)


def grade_contains(completion: str, answer: str, ignore_case: bool = False) -> Grade:
    """Right where the reference is somewhere in the completion, after its thinking.

    >>> grade_contains("The capital is Paris.", "Paris").is_right
    True
    """
    expected, text = answer.strip(), final_text(completion)
    if not expected:
        return wrong("the reference is empty: every text contains it")
    if text is None:
        return wrong("still thinking: no answer after <think>")
    found = expected in text
    if ignore_case:
        found = expected.casefold() in text.casefold()
    return RIGHT if found else wrong(mismatch(repr(text.strip()), f"{expected!r} in it"))


def check_text(answer: str, where: str = "answer") -> None:
    """Refuses an empty reference.

    Raises: TaskDataError.
    """
    if not answer.strip():
        raise TaskDataError(f"{where}: got an empty text, expected a reference")
