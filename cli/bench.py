"""`t2 bench`: ours beside another's, measured in one run; reports, never fails."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import DEFAULT_MODEL, Json, Model
from .render import emit, spinner, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlx_t2.benchmarks import Measurement


def bench(
    suite: Annotated[
        str | None,
        typer.Argument(
            help="decompose, switch, decode, beside, profile, memory, two-pass, chat, serve, "
            "train-step, search or programs."
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each side.")] = 3,
    json: Json = False,
) -> None:
    """Measure speed, memory and exactness; without a suite's name, all of them. decode,
    beside and train-step can be measured on any model, the others on the default one.
    """
    from mlx_t2.benchmarks import SUITES

    if suite is not None and suite not in SUITES:
        raise typer.BadParameter(f"got {suite!r}, expected one of {', '.join(SUITES)}")
    measured = {}
    for name in [suite] if suite else SUITES:
        work = _choose(name, model, runs)
        with spinner(f"measuring {name}"):
            measurements = measured[name] = list(work)
        if not json:
            table(
                f"{name}, medians of {runs} interleaved runs",
                ("", "ours", "other", "ratio", "target", "against"),
                [_format_row(row) for row in measurements],
            )
    if json:
        found = [
            {"suite": name, "rows": [_to_json(r) for r in rows]}
            for name, rows in measured.items()
        ]
        emit(found[0] if suite else {"suite": "all", "suites": found})


def _choose(suite: str, model: str, runs: int) -> "Iterator[Measurement]":
    """The suite's measurements on that model.

    Raises: typer.BadParameter where it is measured on the default model alone.
    """
    from mlx_t2.benchmarks import ON_ANY_MODEL, SUITES

    if suite in ON_ANY_MODEL:
        return ON_ANY_MODEL[suite](runs, model)
    if model != DEFAULT_MODEL:
        raise typer.BadParameter(
            f"--model: got {model!r} for {suite}, expected a suite that takes another model: "
            f"{', '.join(ON_ANY_MODEL)}"
        )
    return SUITES[suite](runs)


def _format_row(row: Any) -> tuple[str, ...]:
    return (
        row.name,
        _format_amount(row.ours, row.unit),
        "" if row.other is None else _format_amount(row.other, row.unit),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        row.target,
        row.against,
    )


def _format_amount(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.3g} ms"
    return f"{value:.1e}" if unit == "relative error" else f"{value:.4g} {unit}"


def _to_json(row: Any) -> dict[str, Any]:
    return {
        "name": row.name,
        "ours": row.ours,
        "other": row.other,
        "ratio": row.ratio,
        "unit": row.unit,
        "against": row.against,
        "target": row.target,
    }
