"""The fields of a request's body: one row of a table for each, and how a body is read by it.

A field is served, or accepted at its neutral value alone because it would change the answer, or
ignored because it would not. What no table has is refused: a misspelt field is not a wish to be
passed over. Knows no prompts and no models.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from .body import name_kind
from .fault import Fault

Kind = Literal["integer", "number", "boolean", "string", "object", "list", "anything"]
_ARTICLES = {
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "string": "a string",
    "object": "an object",
    "list": "a list",
    "anything": "anything",
}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a body."""

    name: str
    kind: Kind = "anything"
    least: float = -math.inf
    most: float = math.inf
    is_nullable: bool = True
    """Null is as good as leaving it out."""
    is_required: bool = False
    default: Any = None
    allowed: Sequence[Any] | None = None
    """All that is accepted: of a field that would change the answer, its neutral values."""
    check: Callable[[str, Any], Any] | None = None
    """(where, value) → the value as it is used; raises Fault."""


def read_fields(
    body: Mapping[str, Any], fields: Sequence[Field], where: str = ""
) -> dict[str, Any]:
    """{name: value} of every field of the table; defaults where the body has none.

    where: what stands before a field's name, as `messages.0.`.
    Raises: Fault that names the first field at fault.
    """
    names = [field.name for field in fields]
    for name in body:
        if name not in names:
            raise _unknown(where, name, names)
    return {field.name: _read(body, field, where + field.name) for field in fields}


def _unknown(where: str, name: str, names: Sequence[str]) -> Fault:
    near = get_close_matches(name, names, 1)
    hint = f". Is {near[0]} meant?" if near else ""
    return Fault(
        f"{where}{name[:64]}: not a field that is served, expected none that is unknown{hint}",
        param=where + name[:64],
        code="unknown_parameter",
    )


def _read(body: Mapping[str, Any], field: Field, where: str) -> Any:
    value = body.get(field.name)
    if value is None:
        is_missing = field.name not in body
        if (field.is_required and is_missing) or not (field.is_nullable or is_missing):
            got = "nothing" if is_missing else "null"
            raise expect(where, _ARTICLES[field.kind], got, code="missing_required_parameter")
        return field.default
    check_kind(where, value, field.kind, field.least, field.most)
    if field.allowed is not None and value not in field.allowed:
        shown = " or ".join("null" if one is None else _show(one) for one in field.allowed)
        raise Fault(
            f"{where}: not served other than as {shown or 'null'}",
            param=where,
            code="unsupported_parameter",
        )
    return value if field.check is None else field.check(where, value)


def check_kind(
    where: str, value: Any, kind: Kind, least: float = -math.inf, most: float = math.inf
) -> None:
    """Raise Fault unless the value is of this kind and within these bounds; a boolean is not a
    number.
    """
    kinds = {
        "integer": int,
        "number": int | float,
        "boolean": bool,
        "string": str,
        "object": dict,
        "list": list,
        "anything": object,
    }
    is_number = kind in ("integer", "number")
    if not isinstance(value, kinds[kind]) or (is_number and isinstance(value, bool)):
        raise expect(where, _ARTICLES[kind], name_kind(value))
    size = value if is_number else len(value) if kind in ("string", "list") else None
    if size is not None and not least <= size <= most:
        raise _out_of_bounds(where, kind, least, most)


def _out_of_bounds(where: str, kind: Kind, least: float, most: float) -> Fault:
    unit = {"string": " characters", "list": " entries"}.get(kind, "")
    if most == math.inf:
        bounds = f"{_write(least)}{unit} or more"
    elif least == -math.inf:
        bounds = f"{_write(most)}{unit} at most"
    else:
        bounds = f"{_write(least)} to {_write(most)}{unit}"
    return Fault(f"{where}: out of range, expected {bounds}", where, "invalid_value")


def _write(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else f"{bound:g}"


def expect(where: str, expected: str, got: str, code: str = "invalid_type") -> Fault:
    """The fault of a value of another kind."""
    return Fault(f"{where}: got {got}, expected {expected}", where, code)


def _show(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')
