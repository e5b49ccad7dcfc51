"""`cls`: which expert of a library, or `other`, does a question belong to?

One problem: the question of another task, bare and without any prompt, and the label of the
expert that was trained on that task as the answer; the labels are all that can be answered. So
whoever has learnt it says the label behind a conversation as it stands, and what was read of
that serves the answer, too.

All of its problems are *training* problems of those tasks, cut in three by a hash of the
question: an expert that was trained on `cls` has seen no validation or test question of any
task. What belongs to no expert is small talk, in splits of its own.

Its splits are cut from training problems alone. Does not know experts, nor what is made of the
answer.
"""

from collections.abc import Iterable, Mapping, Sequence

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import make_grader

from .dataset import DatasetTask, Row
from .generated import count_requests, ordinary_requests
from .splitting import cut, same_question
from .task import OTHER, SPLITS, Problem, Question, Task, name_question, question_of

CLS = "cls"
_MOST = 600
"""Training problems taken of each task."""
_ENDS = {"train": 0.7, "validation": 0.85, "test": 1.0}


def make_cls(tasks: Mapping[str, Task]) -> DatasetTask:
    """The task over these labels and what belongs to none of them.

    tasks: {label of an expert: the task it was trained on}.
    Raises: TaskDataError where no label is given, one is `other`, or a task has no training
    problems.
    """
    if not tasks or OTHER in tasks:
        raise TaskDataError(
            f"cls: got {', '.join(tasks) or 'no experts'}, expected at least one, and none "
            f"called {OTHER!r}, which means the base model"
        )
    labels = (*sorted(tasks), OTHER)
    parts: dict[str, list[Row]] = {}

    def rows(split: str) -> Sequence[Row]:
        parts.update({} if parts else _gather(tasks))
        return parts[split]

    return DatasetTask(
        name=CLS,
        domain=CLS,
        description=f"which of {', '.join(labels)} a question belongs to",
        rows=rows,
        source=(
            f"training problems of {', '.join(sorted({t.name for t in tasks.values()}))}, and "
            "small talk; split by a hash of the question: 70 % train, 15 % validation, "
            "15 % test"
        ),
        template=lambda row: _ask(row, labels),
        grader=make_grader("exact"),
        max_tokens=16,
    )


def _gather(tasks: Mapping[str, Task]) -> dict[str, list[Row]]:
    """Questions with their label, in the splits of `cls`. One that two tasks ask is left out:
    it has no right answer.
    """
    labelled: dict[str, list[Row]] = {label: _rows(label, tasks[label]) for label in tasks}
    asked_by: dict[str, set[str]] = {}
    for label, rows in labelled.items():
        for row in rows:
            asked_by.setdefault(same_question(row["text"]), set()).add(label)
    parts: dict[str, list[Row]] = {split: [] for split in SPLITS}
    for rows in labelled.values():
        own = [row for row in rows if len(asked_by[same_question(row["text"])]) == 1]
        for split, part in cut(own, lambda row: row["text"], _ENDS).items():
            parts[split] += part
    for split in SPLITS:
        parts[split] += _label(OTHER, _all_other(split))
    return parts


def _rows(label: str, task: Task) -> list[Row]:
    if "train" not in task.splits:
        raise TaskDataError(f"cls: {task.name} of expert {label} has no training problems")
    return _label(label, task.problems("train", task.available("train", _MOST)))


def _label(label: str, problems: Iterable[Problem]) -> list[Row]:
    return [{"text": question_of(problem)["content"], "label": label} for problem in problems]


def _all_other(split: str) -> list[Problem]:
    requests = ordinary_requests(split, count_requests(split))
    return [request for request in requests if len(request.messages) == 1]


def _ask(row: Row, labels: Sequence[str]) -> Question:
    return Question(
        id=name_question(CLS, row["text"]),
        text=row["text"],
        answer=row["label"],
        kind=row["label"],
        options=tuple(labels),
    )
