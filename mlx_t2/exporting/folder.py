"""A new folder that is whole or not there. Knows paths; does not know what is in them."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from mlx_t2.errors import FileError
from mlx_t2.files import file_errors, find_kind, reading_errors

T = TypeVar("T")

MANIFEST = "mlx_t2.json"
"""What was exported and how well: the mark of a folder that may be replaced."""


def is_export(out: Path) -> bool:
    """Whether an earlier export is at `out`."""
    return find_kind(out) == "folder" and find_kind(out / MANIFEST) == "file"


def check_target(out: Path, overwrite: bool) -> None:
    """Raise FileError where a new folder cannot take the place of what is at `out`.

    What is there is left alone, unless it is an empty folder, or an earlier export and
    `overwrite` is set.
    """
    kind = find_kind(out)
    if kind is None or (overwrite and is_export(out)):
        return
    with reading_errors(out):
        if kind == "folder" and not any(out.iterdir()):
            return
    what = "an export" if is_export(out) else f"a {kind} of other things"
    way = ", or overwrite it" if is_export(out) else ""
    raise FileError(f"{out}: {what} is there, expected none. Give another place{way}")


def fill_new_folder(out: Path, overwrite: bool, fill: Callable[[Path], T]) -> T:
    """Let `fill` write into a folder of its own beside `out`, which then takes its place; what
    `fill` returns. Where it fails, `out` is as it was, and nothing is left behind.

    Raises: FileError as `check_target`, and where the disk does not take it.
    """
    check_target(out, overwrite)
    with file_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(
            dir=out.parent, prefix=".unfinished-", ignore_cleanup_errors=True
        ) as scratch:
            built = Path(scratch) / out.name
            built.mkdir()
            result = fill(built)
            for path in built.iterdir():
                _sync(path)
            check_target(out, overwrite)
            if find_kind(out) is not None:
                os.rename(out, Path(scratch) / "before")
            os.rename(built, out)
    return result


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Put a JSON object at `path`, for people to read too."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def measure_bytes(folder: Path) -> int:
    """The size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir())


def copy_files(source: Path, folder: Path, is_wanted: Callable[[str], bool]) -> None:
    """Copy the files of `source` whose names are wanted, byte for byte."""
    for path in sorted(source.iterdir()):
        if path.is_file() and is_wanted(path.name):
            shutil.copyfile(path, folder / path.name)


def _sync(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb+") as file:
        os.fsync(file.fileno())
