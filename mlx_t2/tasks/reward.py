"""A reward as a Python function of one's own: `file.py:function`.

It is called with the question, the completion and the row, and gives a number, True or False,
or a Grade; a reward of 1 or more counts as right. It runs here, not in the sandbox; modules
beside its file can be imported, and what it prints goes to stderr. Where it gives less than 0,
the file says `WORST_REWARD = -1`.
"""

import copy
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from mlx_t2.errors import ConfigError, TaskDataError
from mlx_t2.grading import Attempt, Grade, Grader, describe, read_number

_WORST = "WORST_REWARD"


def load_reward(named: str, folder: Path) -> Grader:
    """The grader that asks this function.

    folder: what a relative path starts from.
    Raises: ConfigError where there is no such file or function, or it cannot be loaded.
    """
    file, colon, name = named.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise ConfigError(f"reward: got {named!r}, expected file.py:function")
    path = folder / Path(file).expanduser()
    module = _load(path)
    function = getattr(module, name, None)
    if not callable(function):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise ConfigError(
            f"{path}: got no function {name!r}, expected one of {', '.join(known) or '(none)'}"
        )
    _check_signature(path, name, function)
    worst = read_number(getattr(module, _WORST, 0.0))
    if worst is None:
        raise ConfigError(f"{path}: got {_WORST} that is no finite number")
    where = f"{path.name}:{name}"

    def grade(attempts: Sequence[Attempt]) -> list[Grade]:
        return [_call(function, where, worst, attempt) for attempt in attempts]

    return Grader(
        grade=grade,
        rule=f"what {name}() of {path.name} returns; 1 or more is right",
        worst_reward=worst,
    )


def _check_signature(path: Path, name: str, function: Callable[..., Any]) -> None:
    """Raise ConfigError for a function that cannot be called, or gives no number."""
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ConfigError(f"{path}: {name}() awaits or yields, expected one that returns")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of builtins, which have none
        return
    try:
        signature.bind("prompt", "completion", {})
    except TypeError as error:
        shown = " ".join(str(signature).split())[:120]
        raise ConfigError(
            f"{path}: got {name}{shown} ({error}), expected {name}(prompt, completion, row)"
        ) from error


def pack_row(prompt: str, row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The row of an attempt, for a reward function: what it is called with, and where the row
    is.
    """
    return {"prompt": prompt, "row": dict(row), "where": where}


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file, expected Python with a reward function")
    spec = importlib.util.spec_from_file_location(f"reward_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent.absolute())
    if folder not in sys.path:
        sys.path.append(folder)  # last: nothing installed is hidden
    try:
        with redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{path}: cannot be loaded ({_one_line(error)})") from error
    return module


def _call(function: Callable[..., Any], where: str, worst: float, attempt: Attempt) -> Grade:
    """One grade. Raises TaskDataError where the function fails: that is no verdict."""
    packed = attempt.row if "where" in attempt.row else pack_row("", attempt.row, "given")
    at = f"reward {where}: {packed['where']}"
    row = copy.deepcopy(packed["row"])  # it may change it
    try:
        with redirect_stdout(sys.stderr):
            got = function(packed["prompt"], attempt.completion, row)
    except (Exception, SystemExit) as error:
        raise TaskDataError(
            f"{at}: raised {_one_line(error)} for completion {describe(attempt.completion)}"
        ) from error
    if isinstance(got, Grade):
        reward, grade = got.reward, got
    else:
        reward = read_number(got)
        if reward is None:
            raise TaskDataError(
                f"{at}: got {describe(got)} for completion {describe(attempt.completion)}, "
                "expected a finite number, True, False or a Grade"
            )
        is_right = reward >= 1
        grade = Grade(reward, is_right, "right" if is_right else f"earned {reward:g}")
    if reward < worst:
        raise TaskDataError(
            f"{at}: got {reward:g}, expected {worst:g} or more. Write {_WORST} = -1, or lower, "
            "in its file"
        )
    return grade


def _one_line(error: BaseException) -> str:
    said = " ".join(str(error).split())[:120]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
