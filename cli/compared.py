"""How comparisons are shown: a table of shares, then what was fixed and what was broken."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .render import percent, say, table

if TYPE_CHECKING:
    from mlx_t2.evaluation import Comparison, GradedItem

_LONGEST = 56
"""Characters of an answer that is shown."""


def show_comparison(
    found: "Sequence[Comparison]",
    names: Sequence[str],
    before: "Sequence[GradedItem]",
    others: "Sequence[Sequence[GradedItem]]",
    count: int,
) -> None:
    """Tables of one or several comparisons with the same first evaluation.

    names: of the first and of the others.
    count: of the fixed and of the broken problems that are listed.
    """
    first = found[0].first
    rows = [
        (name, *map(percent, (one.accuracy, one.strict, one.lenient, one.truncated)))
        for name, one in zip(names, [first, *(one.second for one in found)], strict=True)
    ]
    shared = found[0].clusters < found[0].n
    of = f"{found[0].n} problems" + (f" in {found[0].clusters} clusters" if shared else "")
    table(of, ("", "right", "in form", "any form", "cut off"), rows)
    table("after − before, in points", _columns(found), _paired_rows(found, names[1:]))
    for name, one in zip(names[1:], found, strict=True):
        changed = one.paired.fixed + one.paired.broken
        say(
            f"{name}: {changed} of {one.n} verdicts changed; with as many, a true difference "
            f"below {100 * one.smallest_difference:.1f} points would mostly be missed"
        )
    by_id = {item.id: item for item in before}
    for name, one, after in zip(names[1:], found, others, strict=True):
        title = f" by {name}" if len(found) > 1 else ""
        _list_changes(f"fixed{title}", one.fixed, by_id, after, count)
        _list_changes(f"broken{title}", one.broken, by_id, after, count)


def _columns(found: "Sequence[Comparison]") -> list[str]:
    adjusted = ["p, Holm"] if len(found) > 1 else []
    return ["", "gain", "95 % interval", "fixed", "broken", "p", *adjusted]


def _paired_rows(found: "Sequence[Comparison]", names: Sequence[str]) -> list[list[str]]:
    return [
        [
            name,
            _points(one.after - one.before),
            f"{_points(one.interval[0])} to {_points(one.interval[1])}",
            str(one.paired.fixed),
            str(one.paired.broken),
            _chance(one.paired.p),
            *([_chance(one.p_adjusted)] if len(found) > 1 else []),
        ]
        for name, one in zip(names, found, strict=True)
    ]


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _chance(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _list_changes(
    title: str,
    ids: Sequence[str],
    before: "dict[str, GradedItem]",
    after: "Sequence[GradedItem]",
    count: int,
) -> None:
    """The first few problems of one kind, with both answers."""
    if not ids or not count:
        return
    more = f", the first {count} of {len(ids)}" if len(ids) > count else ""
    say(f"{title}{more}:")
    later = {item.id: item for item in after}
    for id in ids[:count]:
        say(f"  {id}: {_shorten(before[id])} → {_shorten(later[id])}")


def _shorten(item: "GradedItem") -> str:
    flat = " ".join(item.completion.split())
    return repr(flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…")
