"""Task names and how each task is made: the one table to add a line to."""

from collections.abc import Callable

from mlx_t2.errors import TaskDataError

from .arc import arc_tasks
from .generated import generated_tasks
from .task import Task

_MAKERS: dict[str, Callable[[], Task]] = {**generated_tasks(), **arc_tasks()}
"""A task is made when it is first asked for, since one may have to read its rows."""

_RENAMED = {"mathematics": "largest", "code": "expression", "reasoning": "kind"}
"""Names until 0.1, which promised more than was asked."""


def get_task(name: str) -> Task:
    """The task of that name.

    Raises: TaskDataError when there is none.
    """
    old, dash, ending = name.partition("-")
    new = _RENAMED.get(old, old) + dash + ending
    if name not in _MAKERS and new in _MAKERS:
        raise TaskDataError(f"task: {name!r} is now called {new!r}")
    if name not in _MAKERS:
        raise TaskDataError(f"task: unknown name {name!r}, known are {', '.join(_MAKERS)}")
    return _MAKERS[name]()


def task_names() -> list[str]:
    """Every name that `get_task` knows."""
    return list(_MAKERS)
