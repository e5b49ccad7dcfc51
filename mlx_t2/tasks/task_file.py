"""A task of one's own as a YAML file: what it can say, and what is wrong with what it says.

    data: questions.jsonl
    template: "{question} Answer with a number."
    answer: result
    grader: number

Paths in it are relative to it. Does not know rows.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from mlx_t2.errors import TaskDataError
from mlx_t2.files import find_kind, reading_errors
from mlx_t2.grading import describe

from .task import SPLITS

SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
"""What is cut by a hash of the question where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """What the maker of a task says of it."""

    path: Path
    """The file that says it."""
    data: str | None = None
    """The rows."""
    template: str | None = None
    """The question, with columns in braces."""
    answer: str | None = None
    """The column of the right answer."""
    system: str | None = None
    """The system message."""
    examples: tuple[tuple[str, str], ...] = ()
    """Worked examples: (question, answer) turns before every question."""
    grader: str | None = None
    """The name of a grader; None: guessed from the answers."""
    grader_settings: Mapping[str, Any] = field(default_factory=dict)
    reward: str | None = None
    """A function of one's own: file.py:function."""
    splits: Mapping[str, float] | Mapping[str, str] = field(default_factory=SHARES.copy)
    """Shares that are cut by a hash of the question, or a file for each split."""
    max_tokens: int | None = None
    """Longest completion [tokens]; None: guessed from the answers."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Most rows of a split."""
    name: str = ""
    description: str = ""

    def data_files(self) -> dict[str, Path]:
        """{split: file}; {"": file} for one that is still to be split."""
        if self.data is not None:
            return {"": self.path.parent / Path(self.data).expanduser()}
        return {s: self.path.parent / Path(str(f)).expanduser() for s, f in self.splits.items()}


def read_task_file(path: Path) -> TaskFile:
    """What the YAML file says.

    Raises: TaskDataError that names every key that is unknown or has a wrong value.
    """
    said = _read_yaml(path)
    known = [*_READERS]
    faults = [_unknown(key, known) for key in said if key not in known]
    values: dict[str, Any] = {}
    for key in known:
        if key in said:
            try:
                values |= _READERS[key](said[key])
            except _Fault as fault:
                faults.append(f"{key}: got {describe(said[key])}, expected {fault}")
    if "grader" in said and "reward" in said:
        faults.append("got grader and reward, expected one of them")
    has_files = any(isinstance(v, str) for v in values.get("splits", {}).values())
    if "data" in said and has_files:
        faults.append("got data and splits with files, expected one of them")
    if "data" not in said and not has_files:
        faults.append("lacks data: a file with a JSON object per line, relative to this file")
    if faults:
        raise TaskDataError(f"{path}: {'; '.join(faults)}")
    values.setdefault("name", path.stem)
    return TaskFile(path=path, **values)


class _Fault(Exception):
    """What was expected of a value."""


def _read_yaml(path: Path) -> dict[str, Any]:
    if (kind := find_kind(path)) != "file":
        raise TaskDataError(f"{path}: {kind or 'no such file'}, expected a task as YAML")
    with reading_errors(path):
        data = path.read_bytes()
    try:
        said = yaml.safe_load(data.decode("utf-8-sig"))
    except Exception as error:  # PyYAML raises whatever a value's constructor does
        reason = " ".join(str(error).split())[:200]
        raise TaskDataError(f"{path}: cannot be read as YAML ({reason})") from error
    if not isinstance(said, dict):
        raise TaskDataError(f"{path}: got {describe(said)}, expected keys like data and grader")
    return said


def _unknown(key: Any, known: list[str]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1)
    meant = f"; did you mean {near[0]}?" if near else f", expected some of {', '.join(known)}"
    return f"got unknown key {str(key)[:40]!r}{meant}"


def _text(key: str) -> Callable[[Any], dict[str, Any]]:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, str) or not value.strip():
            raise _Fault("a text")
        return {key: value}

    return read


def _read_examples(value: Any) -> dict[str, Any]:
    found = []
    for example in value if isinstance(value, list) else [None]:
        pair = list(example.values()) if isinstance(example, dict) else example
        if isinstance(example, dict) and [*example] not in (
            ["prompt", "answer"],
            ["question", "answer"],
            ["prompt", "completion"],
        ):
            raise _Fault("examples with prompt and answer")
        if not isinstance(pair, list) or len(pair) != 2:
            raise _Fault("a list of examples with prompt and answer")
        if not all(isinstance(text, str | int | float) for text in pair):
            raise _Fault("texts as prompt and answer")
        found.append((str(pair[0]), str(pair[1])))
    return {"examples": tuple(found)}


def _read_grader(value: Any) -> dict[str, Any]:
    """A name, or {name: …, setting: …}."""
    if isinstance(value, str):
        return {"grader": value}
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        settings = {str(k): v for k, v in value.items() if k != "name"}
        return {"grader": value["name"], "grader_settings": settings}
    raise _Fault("the name of a grader, or a name with settings")


def _read_splits(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(SPLITS):
        raise _Fault("train, validation and test, each with a share or a file")
    if all(isinstance(part, str) for part in value.values()):
        if len({Path(part) for part in value.values()}) < len(SPLITS):
            raise _Fault("another file for each split, or one file as data that is cut")
        return {"splits": {split: value[split] for split in SPLITS}}
    if not all(type(part) in (int, float) and 0 < part < 1 for part in value.values()):
        raise _Fault("a share between 0 and 1 for each split, or a file for each")
    if abs(sum(value.values()) - 1) > 1e-6:
        raise _Fault(f"shares that sum to 1, not {sum(value.values()):g}")
    return {"splits": {split: float(value[split]) for split in SPLITS}}


def _read_max_tokens(value: Any) -> dict[str, Any]:
    if type(value) is not int or not 1 <= value <= 100_000:
        raise _Fault("a whole number from 1 to 100,000")
    return {"max_tokens": value}


def _read_limits(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value.keys() <= set(SPLITS):
        raise _Fault("most rows of train, validation or test")
    if not all(type(most) is int and most >= 1 for most in value.values()):
        raise _Fault("1 or more rows")
    return {"limits": value}


_READERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "data": _text("data"),
    "template": _text("template"),
    "answer": _text("answer"),
    "system": _text("system"),
    "examples": _read_examples,
    "grader": _read_grader,
    "reward": _text("reward"),
    "splits": _read_splits,
    "max_tokens": _read_max_tokens,
    "limits": _read_limits,
    "name": _text("name"),
    "description": _text("description"),
}
"""key of the file: value → fields of TaskFile, or a _Fault."""

assert _READERS.keys() | {"path", "grader_settings"} == {f.name for f in fields(TaskFile)}
