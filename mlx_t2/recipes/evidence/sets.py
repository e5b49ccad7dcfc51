"""The problems that the evidence is on: of each set a fixed subset, picked by a hash of their
identities; the forms in which they are asked; and the solved problems that mixtures are
searched on.

Knows tasks; knows no models.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from mlx_t2.tasks import DatasetTask, Problem, Question, Row, get_task

SPLIT = "test"
SIZES = {
    "gsm8k": 500,
    "math": 200,
    "mbpp": 500,
    "humaneval": 164,
    "arc-easy": 1165,
    "arc-challenge": 589,
    "arc-easy-letter": 1165,
    "arc-challenge-letter": 589,
}
"""{set: how many problems of its test split}: all, but of gsm8k (1319) and math (2573)."""
_MAX_TOKENS = {"gsm8k": 400, "math": 640}
"""{set: the longest answer}, where the task's own cuts off many answers of this model, and
shorter ones would be a gain by themselves.
"""
SHORT = "short"
SHORT_SIZE = 100
"""Problems that are asked in another form, too: the first of the subset."""
_SHORT_PROMPTS = {
    "gsm8k": "Solve the problem in at most four short lines, without repeating it. End with a "
    "line that has #### and the answer as a number, like: #### 12",
    "math": "Solve the problem in at most six short lines, without repeating it. Put the final "
    "answer in \\boxed{}.",
    **dict.fromkeys(
        ("mbpp", "humaneval"),
        "Answer with one block of Python code: the function alone, without an explanation, "
        "tests or examples.",
    ),
}
"""{set: the system message of the form `short`}."""
SHOTS = 10
"""Solved problems that a mixture is searched on."""
_IS_RANDOM = "label is random"


def open_set(name: str, form: str = "", most: int | None = None) -> DatasetTask:
    """The task, its test split cut down to the subset.

    form: `short`, or empty for the set's own.
    most: a smaller subset, to try things out.
    """
    task = find_task(name)
    size = SIZES[name]
    if form == SHORT:
        message = {"role": "system", "content": _SHORT_PROMPTS[name]}
        task, size = replace(task, prompt=(message,)), SHORT_SIZE
    size = min(size, most or size)

    def read(split: str) -> Sequence[Row]:
        rows = task.rows(split)
        return order_by_hash(task, rows)[:size] if split == SPLIT else rows

    return replace(task, rows=read)


def find_task(name: str) -> DatasetTask:
    """The public set as a task, whole."""
    task = get_task(name, max_tokens=_MAX_TOKENS.get(name))
    assert isinstance(task, DatasetTask)
    return task


def order_by_hash(task: DatasetTask, rows: Sequence[Row]) -> list[Row]:
    """The rows in an order that depends on nothing but what each asks."""
    return sorted(rows, key=lambda row: sha256(task.template(row).id.encode()).digest())


def choose_shots(name: str) -> list[Problem]:
    """Solved problems of the set that are not reported: of its training split; where it has
    none, the last of its test split, which whoever was searched on them is not asked.
    """
    task = find_task(name)
    if "train" in task.splits:
        return task.problems("train", SHOTS)
    rows = order_by_hash(task, task.rows(SPLIT))[-SHOTS:]
    return replace(task, rows=lambda split: rows).problems(SPLIT, len(rows))


def number_problems(name: str) -> dict[str, int]:
    """{identity: place in the test split's file}, from 0: how a person finds a problem."""
    task = find_task(name)
    return {task.template(row).id: place for place, row in enumerate(task.rows(SPLIT))}


def with_random_labels(task: DatasetTask) -> DatasetTask:
    """The task with an option picked by a hash as the right one of each training problem; the
    problems of other splits are as they are. What it teaches is no skill.
    """

    def read(split: str) -> Sequence[Row]:
        return [{**row, _IS_RANDOM: split == "train"} for row in task.rows(split)]

    def ask(row: Row) -> Question:
        question = task.template(row)
        if not row[_IS_RANDOM]:
            return question
        number = int.from_bytes(sha256(f"label {question.id}".encode()).digest()[:8], "big")
        options = list(question.row["options"].items())
        letter, text = options[number % len(options)]
        return replace(question, answer=text, kind=letter)

    return replace(
        task,
        name=f"{task.name}-random",
        rows=read,
        template=ask,
        source=f"{task.source}; the right option of each training problem picked by a hash",
    )
