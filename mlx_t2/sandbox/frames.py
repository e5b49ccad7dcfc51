"""Bytes behind their length, over a pipe.

Used on both sides of it: standard library only.
"""

from os import read, write

HELD = b"R"
"""The first frame of a child: it is held, and the program has not begun."""


def write_frame(descriptor: int, body: bytes) -> None:
    """Write bytes behind their length."""
    left = memoryview(len(body).to_bytes(4, "big") + body)
    while left:
        left = left[write(descriptor, left) :]


def read_frame(descriptor: int) -> bytes:
    """The next frame; empty where the other side is gone."""
    return _read_exactly(descriptor, int.from_bytes(_read_exactly(descriptor, 4), "big"))


def _read_exactly(descriptor: int, size: int) -> bytes:
    parts = []
    while size and (part := read(descriptor, min(size, 1 << 16))):
        parts.append(part)
        size -= len(part)
    return b"" if size else b"".join(parts)
