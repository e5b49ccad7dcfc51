"""Bytes of a request → the object that they are, in one strict reading of JSON.

Strict where readers differ: UTF-8 alone, no NaN or infinity, no name twice in an object, no
halves of surrogate pairs, no number that no field could take, not nested deeper than needed.
Knows no fields.
"""

import json
import math
from typing import Any

from .fault import Fault

DEEPEST = 32
"""Objects and lists inside one another; a conversation needs five."""
_MOST_DIGITS = 20


def read_body(raw: bytes) -> dict[str, Any]:
    """The object.

    Raises: Fault for anything else.
    """
    if not raw.strip():
        raise Fault("body: got nothing, expected a JSON object")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Fault(
            f"body: got byte {raw[error.start]:#04x} at {error.start}, expected UTF-8"
        ) from None
    try:
        found = json.loads(
            text,
            object_pairs_hook=_build,
            parse_constant=_refuse_constant,
            parse_float=_read_float,
            parse_int=_read_integer,
        )
    except json.JSONDecodeError as error:
        raise Fault(
            f"body: {error.msg} at line {error.lineno}, column {error.colno}, expected JSON"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(found, dict):
        raise Fault(f"body: got {name_kind(found)}, expected a JSON object")
    _check_inside(found)
    return found


def name_kind(value: Any) -> str:
    """What JSON calls it, with an article.

    >>> name_kind(True), name_kind(3), name_kind([])
    ('a boolean', 'an integer', 'a list')
    """
    if value is None:
        return "null"
    kinds = ((bool, "a boolean"), (int, "an integer"), (float, "a number"), (str, "a string"))
    rest = "an object" if isinstance(value, dict) else "a list"
    return next((name for kind, name in kinds if isinstance(value, kind)), rest)


def _build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        shown = ascii(twice[:64])
        raise Fault(f"body: got the name {shown} twice in one object, expected it once")
    return found


def _refuse_constant(name: str) -> float:
    raise Fault(f"body: got {name}, expected JSON, which has finite numbers alone")


def _read_float(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise Fault("body: got a number beyond 1.8e308, expected a finite one")
    return number


def _read_integer(written: str) -> int:
    if len(written) > _MOST_DIGITS:
        raise Fault(
            f"body: got an integer of {len(written)} digits, expected {_MOST_DIGITS} at most"
        )
    return int(written)


def _check_inside(found: dict[str, Any]) -> None:
    """Look at every text and every depth, without recursion."""
    open_values: list[tuple[Any, int]] = [(found, 1)]
    while open_values:
        value, depth = open_values.pop()
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, dict | list):
            if depth > DEEPEST:
                raise _too_deep()
            inside = [*value, *value.values()] if isinstance(value, dict) else value
            open_values += [
                (one, depth + 1) for one in inside if isinstance(one, str | dict | list)
            ]


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Fault(
            "body: got half of a surrogate pair (\\ud800 to \\udfff), expected whole characters"
        ) from None


def _too_deep() -> Fault:
    return Fault(f"body: nested deeper than {DEEPEST} levels, expected a flat request")
