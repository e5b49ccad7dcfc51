"""Task names and what they stand for: the one table to add a line to."""

from mlx_t2.errors import TaskDataError

from .embedded import embedded_tasks
from .task import Task

_TASKS: dict[str, Task] = {task.name: task for task in embedded_tasks()}


def get_task(name: str) -> Task:
    """The task of that name.

    Raises: TaskDataError when there is none.
    """
    if name not in _TASKS:
        raise TaskDataError(f"task: unknown name {name!r}, known are {', '.join(_TASKS)}")
    return _TASKS[name]


def task_names() -> list[str]:
    """Every name that `get_task` knows."""
    return list(_TASKS)
