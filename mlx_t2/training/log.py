"""A run folder's JSON files. Knows files; knows no models."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from mlx_t2.errors import CheckpointError


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Add one JSON line and make sure that it is on disk."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error}), expected a folder with room"
        ) from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The entries of a JSON-lines file; a last line cut off by a crash is left out."""
    if not path.exists():
        return []
    entries = []
    # as bytes: a line may be cut inside a character, and text has other ends of lines in it
    for line in path.read_bytes().split(b"\n"):
        try:
            entries.append(json.loads(line))
        except ValueError:
            break
    return entries


def drop_after(path: Path, step: int) -> None:
    """Forget the entries of later steps: they will be made again."""
    kept = [entry for entry in read_lines(path) if entry["step"] <= step]
    write_atomically(
        path, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in kept)
    )


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's text in one go."""
    temporary = path.with_name(f".{path.name}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise CheckpointError(
            f"{path}: cannot be written ({error}), expected a folder with room"
        ) from error
