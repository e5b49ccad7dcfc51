"""Files of JSON lines → rows, or one error that lists what is wrong with which line.

One line: `{"prompt": "2 + 3?", "answer": "5"}`. Knows bytes, lines and columns; does not know
what the columns mean.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mlx_t2.errors import TaskDataError
from mlx_t2.files import find_kind, reading_errors

SHOWN_FAULTS = 3
"""Faults told in full; of the others, how many there are."""

LONGEST_LINE = 1_000_000
"""Longest line that is taken for a row [bytes]: what is longer is another kind of file."""

Fault = tuple[int, str]
"""(number of the line, what is wrong with it)."""


def read_json_lines(
    path: Path, find_fault: Callable[[dict[str, Any]], str | None] = lambda row: None
) -> list[dict[str, Any]]:
    """The rows of the file, blank lines passed over.

    find_fault: what is wrong with a row; None where nothing is.
    Raises: TaskDataError for a file that is missing or empty, or that has a line that is no
        row; FileError for one that may not be read.
    """
    rows, faults = [], []
    for number, row in numbered_rows(path):
        fault = row if isinstance(row, str) else find_fault(row)
        if fault is not None:
            faults.append((number, fault))
        elif isinstance(row, dict):
            rows.append(row)
    raise_faults(path, faults)
    if not rows:
        raise TaskDataError(f"{path}: no rows, expected one JSON object per line")
    return rows


def numbered_rows(path: Path) -> Iterable[tuple[int, dict[str, Any] | str]]:
    """(line number, row, or what is wrong with the line) of each line that is not blank."""
    for number, line in enumerate(_read_bytes(path).split(b"\n"), start=1):
        if line.strip():
            yield number, _parse(line)


def raise_faults(path: Path | str, faults: Sequence[Fault]) -> None:
    """Raise TaskDataError that tells the first faults and how many others there are."""
    if not faults:
        return
    told = "; ".join(f"line {number}: {fault}" for number, fault in faults[:SHOWN_FAULTS])
    rest = len(faults) - SHOWN_FAULTS
    more = f"; and {rest:,} more line{'s' if rest > 1 else ''}" if rest > 0 else ""
    raise TaskDataError(f"{path}: {told}{more}")


def _read_bytes(path: Path) -> bytes:
    """The file without a byte order mark. As bytes: text knows other ends of lines."""
    kind = find_kind(path)
    if kind is None:
        raise TaskDataError(f"{path}: no such file, expected one with a JSON object per line")
    if kind == "folder":
        raise TaskDataError(f"{path}: a folder, expected a file with a JSON object per line")
    with reading_errors(path):
        data = path.read_bytes()
    if data[:2] in (b"\x1f\x8b", b"PK", b"BZ") or data[:4] == b"PAR1":
        raise TaskDataError(f"{path}: packed or binary, expected plain text. Unpack it first")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{"):
        raise TaskDataError(f"{path}: text in UTF-16, expected UTF-8. Save it as UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    _check_lines(path, data[:LONGEST_LINE].lstrip())
    return data


def _check_lines(path: Path, start: bytes) -> None:
    """Raise TaskDataError for JSON that is not in lines: one list of rows, or rows over several
    lines.
    """
    first = start.partition(b"\n")[0].strip()
    for is_so, got, remedy in (
        (start[:1] == b"[", "a JSON list", "jq -c '.[]'"),
        (first == b"{", "a JSON object over several lines", "jq -c ."),
    ):
        if is_so:
            raise TaskDataError(
                f"{path}: got {got}, expected an object per line, as {remedy} writes them"
            )


def _parse(line: bytes) -> dict[str, Any] | str:
    if len(line) > LONGEST_LINE:
        return f"got {len(line):,} bytes, expected at most {LONGEST_LINE:,} per row"
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start + 1}"
    except json.JSONDecodeError as error:
        return f"not JSON ({error.msg} at character {error.pos + 1})"
    except (ValueError, RecursionError) as error:
        return f"not JSON ({' '.join(str(error).split())[:60]})"
    if not isinstance(row, dict):
        return f"got {_NAMES.get(type(row), 'a value')}, expected an object of columns"
    return row


_NAMES: dict[type, str] = {
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def name_kind(value: Any) -> str:
    """The kind of a JSON value in words.

    >>> name_kind([1]), name_kind({})
    ('a list', 'an object')
    """
    return _NAMES.get(type(value), "an object")
