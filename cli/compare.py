"""`t2 compare`: files of answers to the same problems, paired."""

from pathlib import Path
from typing import Annotated

import typer

from .compared import show_comparison
from .options import Json, Shown
from .render import emit


def compare(
    before: Annotated[Path, typer.Argument(help="Answers of `t2 eval --out`.")],
    after: Annotated[list[Path], typer.Argument(help="Others, to the same problems.")],
    show: Shown = 3,
    json: Json = False,
) -> None:
    """Compare answers problem by problem: fixed, broken, p and an interval.

    p is McNemar's exact test, in which problems that share a cluster are flipped together; with
    several files it is also adjusted for their number (Holm).
    """
    from mlx_t2.evaluation import compare_all, read_items

    first, others = read_items(before), [read_items(path) for path in after]
    found = compare_all(first, others)
    if json:
        told = [
            one.to_json() | {"file": str(path)} for one, path in zip(found, after, strict=True)
        ]
        emit(told[0] if len(told) == 1 else {"comparisons": told})
        return
    show_comparison(found, [_name(path) for path in (before, *after)], first, others, show)


def _name(path: Path) -> str:
    return path.stem
