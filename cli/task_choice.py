"""Which task the arguments mean: a name, a file, or `cls` over the experts of a library."""

from pathlib import Path
from typing import TYPE_CHECKING

from .render import note

if TYPE_CHECKING:
    from mlx_t2.experts import Expert
    from mlx_t2.tasks import Task


def open_task(
    name: str,
    grader: str | None = None,
    reward: str | None = None,
    max_tokens: int | None = None,
    experts: Path | None = None,
) -> "Task":
    """The task; for `cls`, notes name the experts whose tasks are not known here.

    experts: the folder of experts that `cls` tells apart, instead of the library.
    """
    from mlx_t2.errors import ConfigError
    from mlx_t2.tasks import CLS, get_task

    if name != CLS:
        return get_task(name, grader, reward, max_tokens)
    if grader or reward or max_tokens:
        raise ConfigError(f"{name}: it brings its own grader and limit, expected no others")
    return _open_cls(experts)


def task_words(
    name: str,
    grader: str | None = None,
    reward: str | None = None,
    max_tokens: int | None = None,
    experts: Path | None = None,
) -> list[str]:
    """The arguments that `open_task` was given, to be given again."""
    flags = {
        "--grader": grader,
        "--reward": reward,
        "--max-tokens": max_tokens,
        "--experts": experts,
    }
    given = [[flag, str(value)] for flag, value in flags.items() if value is not None]
    return [name, *(word for pair in given for word in pair)]


def _open_cls(folder: Path | None) -> "Task":
    from mlx_t2.errors import T2Error
    from mlx_t2.experts import open_library
    from mlx_t2.tasks import CLS, make_cls

    tasks: dict[str, Task] = {}
    passed_over: list[str] = []
    for expert, _ in open_library(folder).experts():
        if expert.task == CLS:
            continue
        try:
            task = _task_of(expert)
        except T2Error:
            passed_over.append(f"{expert.name} ({expert.task or 'no task'})")
            continue
        if "train" in task.splits:
            tasks[expert.name] = task  # an own expert comes first and hides its namesake
        else:
            passed_over.append(f"{expert.name} ({expert.task} has no training problems)")
    if passed_over:
        note(f"{CLS}: passed over, their tasks are not known here: {', '.join(passed_over)}")
    return make_cls(tasks)


def _task_of(expert: "Expert") -> "Task":
    """The task that an expert was trained on: its maker's file, else the one of that name."""
    from mlx_t2.tasks import get_task

    file = expert.config.get("task_file")
    if isinstance(file, str) and file:
        # the expert may be a stranger's: with another grader, no code of that file is run
        return get_task(file, grader="exact")
    return get_task(expert.task)
