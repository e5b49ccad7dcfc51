"""Files that are written whole or not at all, and files of JSON lines.

Knows bytes, paths and JSON; does not know what they mean.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlx_t2.errors import FileError


def write_whole(path: Path | str, content: bytes | str) -> None:
    """Put `content` at `path`, whole or not at all; text as UTF-8.

    Raises: FileError where the disk does not take it; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    fill_whole(path, lambda temporary: temporary.write_bytes(data))


def fill_whole(path: Path | str, fill: Callable[[Path], Any]) -> None:
    """Let `fill` write a file of its own, which then takes the place of `path`.

    The file lies beside `path` under a name of its own with the same suffix, is synced, and is
    then renamed, so a reader meets the old file or the new one, and so does a machine that lost
    its power. Two writers at once do not meet.

    Raises: FileError where the disk does not take it; nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    with file_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fill(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Add one JSON line and make sure that it is on disk. Raises FileError where it is not."""
    with file_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(json_line(entry))
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The entries of a JSON-lines file up to the first that a crash cut off; an absent file has
    none.
    """
    if not path.exists():
        return []
    entries = []
    # as bytes: a line may be cut inside a character, and text knows other ends of lines
    for line in path.read_bytes().split(b"\n"):
        try:
            entries.append(json.loads(line))
        except ValueError:
            break
    return entries


def json_line(entry: Any) -> str:
    """An entry as one line of a JSON-lines file."""
    return json.dumps(entry, ensure_ascii=False) + "\n"


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Inside the block, what keeps `path` from being written is a FileError that says so."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError is how MLX says it
        if isinstance(error, RuntimeError) and "[save" not in str(error):
            raise
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"{path}: cannot be written ({reason}), expected a writable folder with room"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Let the renaming survive a power cut, where the file system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
