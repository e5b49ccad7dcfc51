"""ARC: questions of science with a few options, in two forms.

One row: `{"id": "…", "question": "Which is a metal?", "choices": {"text": ["iron", "wood"],
"label": ["A", "B"]}, "answerKey": "A"}`; labels are letters or digits, two to five of them.

`arc-easy` and `arc-challenge` put the bare question; the options' texts are all that can be
answered. The `-letter` tasks list the options and ask for a letter, as the paper does.

Source: Clark et al. 2018, arXiv:1803.05457.
"""

from collections.abc import Callable, Sequence
from functools import partial

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import Attempt, Grade, Grader, grade_text, make_grader

from .dataset import DatasetTask
from .splitting import PublicSet, Row
from .task import Message, Question, name_question

_CONFIGS = {"arc-easy": "ARC-Easy", "arc-challenge": "ARC-Challenge"}
_LETTERS = "ABCDEFGHIJ"
_LETTER_PROMPT: tuple[Message, ...] = (
    {"role": "system", "content": "Answer with the letter of the right option and no more."},
)


def arc_tasks() -> dict[str, Callable[[], DatasetTask]]:
    """{name: how to make the task} of both parts in both forms."""
    scored = {name: partial(_make_scored, name) for name in _CONFIGS}
    return scored | {f"{name}-letter": partial(_make_letter, name) for name in _CONFIGS}


def options_of(row: Row) -> tuple[dict[str, str], str]:
    """({letter: text}, letter of the right option), whatever the labels of the row are.

    >>> row = {"choices": {"text": ["iron", "wood"], "label": ["1", "2"]}, "answerKey": "2"}
    >>> options_of(row)
    ({'A': 'iron', 'B': 'wood'}, 'B')
    """
    texts, labels = (list(row["choices"].get(key) or []) for key in ("text", "label"))
    is_whole = all(isinstance(text, str) for text in texts)
    is_whole = is_whole and 2 <= len(texts) == len(labels) <= len(_LETTERS)
    if not is_whole or row["answerKey"] not in labels:
        raise TaskDataError(
            f"arc: {row['question'][:40]!r}: got answerKey {row['answerKey']!r} with "
            f"{len(texts)} options, expected one of its labels, got {labels}"
        )
    letters = _LETTERS[: len(texts)]
    right = letters[labels.index(row["answerKey"])]
    return dict(zip(letters, texts, strict=True)), right


def _make_scored(name: str) -> DatasetTask:
    return DatasetTask(
        name=name,
        domain=name,
        description=f"{_CONFIGS[name]}, the options' texts are scored",
        rows=_rows(name).rows,
        source=_rows(name).source(),
        template=partial(_ask_bare, name),
        grader=Grader(grade=_grade_text, rule="1 for the text of the right option, else 0"),
        max_tokens=64,
        has_all=True,
    )


def _make_letter(name: str) -> DatasetTask:
    return DatasetTask(
        name=f"{name}-letter",
        domain=f"{name}-letter",
        description=f"{_CONFIGS[name]}, options listed, answered with a letter",
        rows=_rows(name).rows,
        source=_rows(name).source(),
        template=partial(_ask_letter, name),
        grader=make_grader("choice"),
        max_tokens=8,
        prompt=_LETTER_PROMPT,
        has_all=True,
    )


def _rows(name: str) -> PublicSet:
    return PublicSet(
        hub_id="allenai/ai2_arc",
        config=_CONFIGS[name],
        question=lambda row: row["question"],
        columns={"question": str, "choices": dict, "answerKey": str},
        published=("train", "validation", "test"),
    )


def _ask_bare(name: str, row: Row) -> Question:
    options, right = options_of(row)
    return Question(
        id=name_question(name, row["question"], *options.values()),
        text=row["question"],
        answer=options[right],
        kind=right,
        options=tuple(dict.fromkeys(options.values())),  # some rows have one text twice
        row={"options": options},
    )


def _ask_letter(name: str, row: Row) -> Question:
    options, right = options_of(row)
    listed = "\n".join(f"{letter}. {text}" for letter, text in options.items())
    return Question(
        id=name_question(name, row["question"], *options.values()),
        text=f"{row['question']}\n{listed}",
        answer=right,
        kind=right,
        row={"options": options},
    )


def _grade_text(attempts: Sequence[Attempt]) -> list[Grade]:
    return [grade_text(a.completion.strip(), a.answer.strip()) for a in attempts]
