"""Server-sent events: the frames of a stream. Knows no API."""

import json
from typing import Any

HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx would hold the stream back
}
DONE = b"data: [DONE]\n\n"
STILL_THERE = b": still there\n\n"
"""A comment: keeps the connection open where nothing else is to be said."""


def write_frame(value: Any) -> bytes:
    """One event. A line break inside JSON is written as an escape, so the data is one line."""
    return b"data: " + write_json(value) + b"\n\n"


def write_json(value: Any) -> bytes:
    """JSON in UTF-8, without needless spaces."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8")
