"""Files that are written whole or not at all, files of JSON lines, and locks.

Knows bytes, paths and JSON; does not know what they mean.
"""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from mlx_t2.errors import FileError


def write_whole(path: Path | str, content: bytes | str) -> None:
    """Put `content` at `path`, whole or not at all; text as UTF-8.

    Raises: FileError where the disk does not take it; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    fill_whole(path, lambda temporary: temporary.write_bytes(data))


def fill_whole(path: Path | str, fill: Callable[[Path], Any]) -> None:
    """Let `fill` write a file of its own, which then takes the place of `path`.

    The file is beside `path` under a name of its own with the same suffix, is synced, and is
    then renamed, so a reader meets the old file or the new one, and so does a machine that lost
    its power. Two writers at once do not meet.

    Raises: FileError where the disk does not take it; nothing is left behind.
    """
    path = Path(path)
    suffix = path.suffix if len(path.suffix) < 20 else ""
    temporary = path.parent / f".{os.getpid()}-{secrets.token_hex(4)}{suffix}"
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


def check_folder(path: Path) -> None:
    """Raise FileError for a folder that no file can be put into, whether it is there or has to
    be made; known by trying, before work is done for it. Nothing is left behind.
    """
    with file_errors(path):
        there = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
        with TemporaryDirectory(dir=there, prefix=".try-"):
            pass


def fill_folder(path: Path, fill: Callable[[Path], Any]) -> None:
    """Let `fill` write into a folder of its own, which then becomes `path`: one that exists is
    complete. Where another process was faster, its folder stays. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".unfinished-") as scratch:
        built = Path(scratch) / "built"
        built.mkdir()
        fill(built)
        try:
            os.rename(built, path)
        except OSError:
            if not path.is_dir():
                raise


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Add one JSON line and make sure that it is on disk. Raises FileError where it is not."""
    with file_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(json_line(entry))
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The entries of a JSON-lines file, without the lines that have none; an absent file has no
    lines. Raises FileError for one that cannot be read.
    """
    entries = map(parse_line, split_lines(path))
    return [entry for entry in entries if entry is not None]


def split_lines(path: Path) -> list[bytes]:
    """The lines of a file that are not blank, as they are; an absent file has none. As bytes,
    since one may be cut inside a character, and text knows other ends of lines.

    Raises: FileError for a file that cannot be read.
    """
    if find_kind(path) is None:
        return []
    with reading_errors(path):
        return [line for line in path.read_bytes().split(b"\n") if line.strip()]


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The entry in a line of a JSON-lines file; None where it is torn, or not an entry.

    >>> parse_line(b'{"step": 1}'), parse_line(b'{"st'), parse_line(b"7")
    ({'step': 1}, None, None)
    """
    try:
        entry = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def set_aside(path: Path, lines: Sequence[bytes]) -> Path:
    """Keep these lines of the file at `path` in a new file beside it, which is returned:
    `<name>.set-aside-1`, or the next number that is free. Raises FileError.
    """
    number = 1
    while find_kind(copy := path.with_name(f"{path.name}.set-aside-{number}")):
        number += 1
    write_whole(copy, b"".join(line + b"\n" for line in lines))
    return copy


def json_line(entry: Any) -> str:
    """An entry as one line of a JSON-lines file."""
    return json.dumps(entry, ensure_ascii=False) + "\n"


def find_kind(path: Path) -> Literal["file", "folder"] | None:
    """What is at `path`; None for nothing. Raises FileError for a path that nothing can be at,
    like one with a name too long, or that this user may not look at.
    """
    with reading_errors(path):
        try:
            return "folder" if stat.S_ISDIR(path.stat().st_mode) else "file"
        except (FileNotFoundError, NotADirectoryError):
            return None


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Inside the block, what keeps `path` from being written is a FileError that says so."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, OSError) or _is_about_the_path(error) or "[save" in str(error):
            raise FileError(
                f"{path}: cannot be written ({_reason(error)}), expected a writable folder "
                "with room"
            ) from error
        raise


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Inside the block, what keeps `path` from being read is a FileError that says so."""
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) or _is_about_the_path(error):
            raise FileError(
                f"{path}: cannot be read ({_reason(error)}), expected a path that can"
            ) from error
        raise


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _is_about_the_path(error: Exception) -> bool:
    """A name with a NUL in it, or one that the file system's encoding does not have."""
    return isinstance(error, UnicodeEncodeError) or "null byte" in str(error)


class Lock:
    """An advisory lock on an open file, which is gone with its process, however that ends. The
    file stays; it holds the number of the process that had the lock last.
    """

    def __init__(self, path: Path):
        self.path = path
        self._handle: int | None = None

    def take(self) -> bool:
        """Hold the lock until `release`; False where this file system has no locks.

        Raises: BlockingIOError where another has it; FileError where the file cannot be made.
        """
        with file_errors(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            is_held = _flock(handle, fcntl.LOCK_EX)
        except BlockingIOError:
            os.close(handle)
            raise
        self._handle = handle
        with file_errors(self.path):
            os.truncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
        return is_held

    def is_free(self) -> bool:
        """Whether nobody else holds the lock now."""
        if self._handle is not None:
            return True
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except (OSError, ValueError):
            return True
        try:
            _flock(handle, fcntl.LOCK_SH)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        return True

    def holder(self) -> str:
        """The number of the process that has the lock, as far as it is known."""
        try:
            number = self.path.read_bytes()[:20].strip()
        except OSError:
            number = b""
        return f"process {int(number)}" if number.isdigit() else "another process"

    def release(self) -> None:
        """Let others have it."""
        if self._handle is not None:
            os.close(self._handle)
        self._handle = None


_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def _flock(handle: int, kind: int) -> bool:
    """Lock without waiting; False where the file system, often one of a network, cannot."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _sync_folder(folder: Path) -> None:
    """Let the renaming survive a power cut, where the file system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
