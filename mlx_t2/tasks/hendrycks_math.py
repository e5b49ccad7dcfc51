r"""MATH: problems of competitions, answered with an expression in LaTeX.

One row: `{"problem": "What is $2+3$?", "level": "Level 1", "type": "Prealgebra", "solution":
"It is $\\boxed{5}$."}`; what is boxed last is right.

Source: Hendrycks et al. 2021, arXiv:2103.03874.
"""

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import make_grader

from .dataset import DatasetTask
from .splitting import PublicSet, Row
from .task import REFERENCE, Message, Question, name_question

_SUBJECTS = (
    *("algebra", "counting_and_probability", "geometry", "intermediate_algebra"),
    *("number_theory", "prealgebra", "precalculus"),
)
_PROMPT: tuple[Message, ...] = (
    {
        "role": "system",
        "content": "Solve the problem step by step. Put the final answer in \\boxed{}.",
    },
)
_BOXES = ("\\boxed", "\\fbox")


def make_math() -> DatasetTask:
    """The task, with the problems of all subjects and levels."""
    rows = PublicSet(
        hub_id="EleutherAI/hendrycks_math",
        config=_SUBJECTS,
        question=lambda row: row["problem"],
        columns={"problem": str, "solution": str, "type": str, "level": str},
        published=("train", "test"),
    )
    return DatasetTask(
        name="math",
        domain="math",
        description="problems of mathematics competitions, answered in LaTeX",
        rows=rows.rows,
        source=rows.source(),
        template=_ask,
        grader=make_grader("math", form="boxed"),
        max_tokens=512,
        prompt=_PROMPT,
        has_all=True,
    )


def find_boxed(solution: str) -> str | None:
    r"""What the last box of a solution holds: in braces, however nested, or one word without.

    >>> find_boxed(r"so $\boxed{\frac{1}{2}}$."), find_boxed(r"$\boxed 5$")
    ('\\frac{1}{2}', '5')
    """
    start, box = max((solution.rfind(box), box) for box in _BOXES)
    if start < 0:
        return None
    rest = solution[start + len(box) :].lstrip()
    if not rest.startswith("{"):
        return rest.split("$")[0].strip() or None
    depth = 0
    for i, letter in enumerate(rest):
        if rest[i - 1 : i] != "\\":
            depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return rest[1:i]
    return None


def _ask(row: Row) -> Question:
    answer = find_boxed(row["solution"])
    if answer is None:
        raise TaskDataError(
            f"math: {row['problem'][:40]!r}: got a solution without a closed box, expected "
            "\\boxed{answer}"
        )
    return Question(
        id=name_question("math", row["problem"]),
        text=row["problem"],
        answer=answer,
        kind=row["type"],
        row={REFERENCE: row["solution"], "level": row["level"]},
    )
