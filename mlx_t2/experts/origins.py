"""Where experts from elsewhere are from: one JSON line each, beside the experts.

A line goes by the hash of the file's bytes, so it stays true whatever the file is called later.
"""

import hashlib
from pathlib import Path

from mlx_t2.files import append_line, read_lines

_FILE = "origins.jsonl"


def record_origin(folder: Path, content: bytes, source: str) -> None:
    """Write down that the expert with this content is from `source`. Raises FileError."""
    folder.mkdir(parents=True, exist_ok=True)
    if origin_of(folder, content) != source:
        append_line(folder / _FILE, {"sha256": _hash(content), "source": source})


def origin_of(folder: Path, content: bytes) -> str | None:
    """Where the expert with this content is from, as it was last written down."""
    key, lines = _hash(content), read_lines(folder / _FILE)
    found = [line.get("source") for line in lines if line.get("sha256") == key]
    return str(found[-1]) if found else None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
