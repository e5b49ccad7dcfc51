"""Rows of public data sets: from a mirror folder, else from the hub.

The mirror is the folder named by MLX_T2_DATA: `<hub id with / as -->[--config]/<split>.jsonl`,
with the hub's columns; `openai/gsm8k` lies in `openai--gsm8k/test.jsonl`. Without it, the hub's
own library downloads the data set once and keeps it.

Does not know what the rows mean.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlx_t2.errors import TaskDataError
from mlx_t2.files import find_kind

from .json_lines import name_kind, read_json_lines

VARIABLE = "MLX_T2_DATA"
_ANY: Mapping[str, type] = {}
_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")

_KINDS: dict[type, str] = {str: "a text", dict: "an object", list: "a list", int: "a number"}

Config = str | Sequence[str] | None
"""The hub's name for a part of a data set; several: their rows one after another."""


def read_rows(
    hub_id: str, config: Config, split: str, columns: Mapping[str, type] = _ANY
) -> list[dict[str, Any]]:
    """The rows of one split of a data set, as the hub has them.

    columns: what every row must have, and the kind of it.
    Raises: TaskDataError where neither the mirror nor the hub has them, or a line of the mirror
        is no row.
    """
    mirror = mirror_folder()
    if mirror is None:
        return [row for one in _each(config) for row in _download(hub_id, one, split, columns)]
    files = [folder / f"{split}.jsonl" for folder in _folders(mirror, hub_id, config)]
    missing = [file for file in files if find_kind(file) != "file"]
    if missing or not files:
        at = missing[0] if missing else mirror / _folder_name(hub_id, None) / f"{split}.jsonl"
        raise TaskDataError(
            f"{at}: no such file, expected the {split} rows of {hub_id} ({VARIABLE} names the "
            f"folder). Put them there, or unset {VARIABLE} to read them from the hub"
        )
    return [row for file in files for row in read_json_lines(file, _lacking(columns))]


def has_split(hub_id: str, config: Config, split: str, on_hub: Sequence[str]) -> bool:
    """Whether that split is at hand; known without reading it.

    on_hub: the splits that the hub is known to have.
    """
    mirror = mirror_folder()
    if mirror is None:
        return split in on_hub
    folders = _folders(mirror, hub_id, config)
    return bool(folders) and all(find_kind(f / f"{split}.jsonl") == "file" for f in folders)


def mirror_folder() -> Path | None:
    """The folder that MLX_T2_DATA names; None where it is unset.

    Raises: TaskDataError where it names no folder.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = Path(os.path.expanduser(named))
    if find_kind(folder) != "folder":
        raise TaskDataError(
            f"{VARIABLE}: got {named!r}, expected a folder with a folder per data set, like "
            "openai--gsm8k"
        )
    return folder


def _folders(mirror: Path, hub_id: str, config: Config) -> list[Path]:
    """Where the mirror has them: a folder per configuration, or one for all of them."""
    named = [mirror / _folder_name(hub_id, one) for one in _each(config)]
    whole = mirror / _folder_name(hub_id, None)
    if all(find_kind(folder) == "folder" for folder in named):
        return named
    return [whole] if find_kind(whole) == "folder" else []


def _folder_name(hub_id: str, config: str | None) -> str:
    return "--".join([*hub_id.split("/"), *([config] if config else [])])


def _each(config: Config) -> Sequence[str | None]:
    return [config] if config is None or isinstance(config, str) else config


def _lacking(columns: Mapping[str, type]) -> Callable[[dict[str, Any]], str | None]:
    """What a row lacks of these columns."""

    def find_fault(row: dict[str, Any]) -> str | None:
        missing = [column for column in columns if column not in row]
        if missing:
            return f"lacks {', '.join(missing)}"
        for column, kind in columns.items():
            if not isinstance(row[column], kind):
                return f"{column}: got {name_kind(row[column])}, expected {_KINDS[kind]}"
        return None

    return find_fault


def _download(
    hub_id: str, config: str | None, split: str, columns: Mapping[str, type]
) -> list[dict[str, Any]]:
    """Through the hub's library, which keeps what it has downloaded."""
    where = f"{hub_id}{f' ({config})' if config else ''}, {split}"
    try:
        import datasets  # takes a second

        with _quiet(datasets):
            loaded: Any = datasets.load_dataset(hub_id, config, split=split)
        rows = [dict(row) for row in loaded]
    except Exception as error:  # the library's, the network's and the disk's share no type
        raise TaskDataError(f"{where}: {_explain(error)}") from error
    for number, row in enumerate(rows, start=1):
        if fault := _lacking(columns)(row):
            raise TaskDataError(f"{where}: row {number} {fault}; the hub's columns are others")
    return rows


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """Without bars, and without a line for each time that the hub is tried again."""
    bar, hub = datasets.is_progress_bar_enabled(), logging.getLogger("huggingface_hub")
    level = hub.level
    datasets.disable_progress_bars()
    hub.setLevel(logging.ERROR)
    try:
        yield
    finally:
        (datasets.enable_progress_bars if bar else datasets.disable_progress_bars)()
        hub.setLevel(level)


def _explain(error: Exception) -> str:
    """What is in the way, and what to do."""
    said = " ".join(str(error).split())[:200] or type(error).__name__
    offline = [f"{name}={os.environ[name]}" for name in _OFFLINE if os.environ.get(name)]
    online = f"go online (now {', '.join(offline)})" if offline else "go online"
    return (
        f"cannot be read from the hub ({said}). {online[0].upper()}{online[1:]}, or set "
        f"{VARIABLE} to a folder that has the rows as JSON lines"
    )
