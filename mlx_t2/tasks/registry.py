"""Task names and how each task is made: the one table to add a line to; and files by path."""

import difflib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mlx_t2.errors import ConfigError, TaskDataError
from mlx_t2.files import find_kind
from mlx_t2.grading import make_grader

from .arc import arc_tasks
from .cls import CLS
from .custom import FILE_ENDINGS, make_custom
from .dataset import DatasetTask, Row
from .generated import generated_tasks
from .gsm8k import make_gsm8k
from .hendrycks_math import make_math
from .humaneval import make_humaneval
from .mbpp import make_mbpp
from .reward import load_reward, pack_row
from .task import Question, Task

_MAKERS: dict[str, Callable[[], Task]] = {
    **generated_tasks(),
    "gsm8k": make_gsm8k,
    "math": make_math,
    **arc_tasks(),
    "mbpp": make_mbpp,
    "humaneval": make_humaneval,
}
"""A task is made when it is asked for, and reads its rows when they are needed."""

_RENAMED = {"mathematics": "largest", "code": "expression", "reasoning": "kind"}
"""Names until 0.1, which promised more than was asked."""


def get_task(
    name: str,
    grader: str | None = None,
    reward: str | None = None,
    max_tokens: int | None = None,
) -> Task:
    """The task of that name, or of that file: rows (.jsonl) or a YAML that names them.

    grader: the name of one, for rows of one's own; reward: file.py:function; max_tokens: the
        longest completion. Each instead of what the task has.
    Raises: TaskDataError where there is no such task, or its file is faulty; ConfigError for a
    grader or reward that does not fit.
    """
    if grader is not None and reward is not None:
        raise ConfigError("got a grader and a reward, expected one of them")
    if is_path(name):
        return make_custom(Path(name).expanduser(), grader, reward, max_tokens)
    task = _make_known(name)
    if (grader, reward, max_tokens) == (None, None, None):
        return task
    if not isinstance(task, DatasetTask):
        raise ConfigError(
            f"{name}: generated, it brings its own grader and limit; expected a file or a data "
            "set where others are given"
        )
    if reward is not None:
        task = _reward_by(task, reward)
    if grader is not None:
        task = replace(task, grader=make_grader(grader))
    return replace(task, max_tokens=max_tokens or task.max_tokens)


def is_path(name: str) -> bool:
    """Whether a task is named by its file."""
    return name.lower().endswith(FILE_ENDINGS) or "/" in name


def task_names() -> list[str]:
    """Every name that `get_task` knows."""
    return list(_MAKERS)


def _make_known(name: str) -> Task:
    if name in _MAKERS:
        return _MAKERS[name]()
    old, dash, ending = name.partition("-")
    new = _RENAMED.get(old, old) + dash + ending
    if new in _MAKERS:
        raise TaskDataError(f"task: {name!r} is now called {new!r}")
    if find_kind(Path(name)) is not None:
        raise TaskDataError(
            f"task: got {name!r}, a file or folder, expected a file that ends in "
            f"{' or '.join(FILE_ENDINGS)}"
        )
    if name == CLS:
        raise TaskDataError(f"task: {CLS} is made of the experts of a library, see --experts")
    near = difflib.get_close_matches(name, _MAKERS, n=1)
    meant = f". Did you mean {near[0]}?" if near else ""
    raise TaskDataError(
        f"task: unknown name {name!r}, known are {', '.join(_MAKERS)}; or the path of a "
        f".jsonl or .yaml file{meant}"
    )


def _reward_by(task: DatasetTask, reward: str) -> DatasetTask:
    """The task with a function of one's own instead of its grader."""

    def template(row: Row) -> Question:
        question = task.template(row)
        return replace(question, row=pack_row(question.text, row, question.id))

    return replace(task, grader=load_reward(reward, Path()), template=template)
