"""Experts written as a sum: `a+b`, `0.5*a`, `-a`, `a - 0.3*b`. Knows names; reads no files.

    sum    =  [sign] term  { sign term }
    term   =  [number *] name

A name may have signs in it itself. So the longest text that names an expert is taken, and a
text that names one as a whole is that expert: `arc-easy` is no `arc` without an `easy`.
"""

import math
import re
from collections.abc import Callable

from mlx_t2.errors import ConfigError

_HEAD = re.compile(
    r"\s*(?P<sign>[+-]?)\s*(?:(?P<number>[0-9.][0-9.eE]*(?:[eE][+-][0-9]+)?)\s*\*)?\s*"
)
_END = re.compile(r"\s*(?=[+-])|\s*$")
"""Where a name may end."""
_FORM = "a sum of experts, as in a+b, 0.5*a or a - 0.3*b"


def parse_composition(text: str, is_name: Callable[[str], bool]) -> dict[str, float]:
    """`a - 0.3*b` → {name: coefficient}, in the order of the names: the order of the terms
    changes nothing.

    is_name: whether a text names an expert. A name that none has is kept as it is written, up
        to the next sign, or to the end where nothing in the text is a name: whoever looks for
        it says what there is.

    >>> parse_composition("kind - 0.3*arc-easy", {"kind", "arc-easy"}.__contains__)
    {'arc-easy': -0.3, 'kind': 1.0}

    Raises: ConfigError for a term without a name, a number that is not finite, or an expert
        that is named twice.
    """
    whole = {text: 1.0}
    if is_name(text) or not text.strip():
        return whole
    found: dict[str, float] = {}
    at = 0
    while at < len(text):
        at, name, coefficient = _read_term(text, at, is_name)
        if name in found:
            raise ConfigError(f"expert {text!r}: got {name!r} twice, expected each expert once")
        found[name] = coefficient
    return dict(sorted(found.items())) if any(map(is_name, found)) else whole


def _read_term(text: str, at: int, is_name: Callable[[str], bool]) -> tuple[int, str, float]:
    """Where the term ends, its name and its coefficient."""
    head = _HEAD.match(text, at)
    assert head is not None  # it may be empty
    start, number = head.end(), _read_number(text, head["number"])
    ends = [end for end in _END.finditer(text, start) if end.start() > start]
    named = [end for end in ends if is_name(text[start : end.start()])]
    is_free = bool(ends) and (bool(named) or text[start] not in "+-*")
    if not is_free or (at and not head["sign"]):
        raise ConfigError(f"expert {text!r}: got {text[at:]!r}, expected {_FORM}")
    end = named[-1] if named else ends[0]
    return end.end(), text[start : end.start()], -number if head["sign"] == "-" else number


def _read_number(text: str, written: str | None) -> float:
    try:
        number = 1.0 if written is None else float(written)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"expert {text!r}: got {written}*, expected a finite number")
    return number
