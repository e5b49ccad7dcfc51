"""Task names and what they stand for: the one table to add a line to."""

from mlx_t2.errors import TaskDataError

from .generated import generated_tasks
from .task import Task

_TASKS: dict[str, Task] = {task.name: task for task in generated_tasks()}

_RENAMED = {"mathematics": "largest", "code": "expression", "reasoning": "kind"}
"""Names until 0.1, which promised more than was asked."""


def get_task(name: str) -> Task:
    """The task of that name.

    Raises: TaskDataError when there is none.
    """
    old, ending = name.split("-", 1)[0], name.partition("-")[1:]
    if name not in _TASKS and old in _RENAMED:
        new = "".join((_RENAMED[old], *ending))
        raise TaskDataError(f"task: {name!r} is now called {new!r}")
    if name not in _TASKS:
        raise TaskDataError(f"task: unknown name {name!r}, known are {', '.join(_TASKS)}")
    return _TASKS[name]


def task_names() -> list[str]:
    """Every name that `get_task` knows."""
    return list(_TASKS)
