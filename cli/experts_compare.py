"""`t2 experts compare`: how alike experts are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import ExpertsFolder, Json
from .render import emit, note, table

if TYPE_CHECKING:
    from mlx_t2.experts import Expert

_PICTURES = (".png", ".pdf", ".svg")


def compare_experts(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Experts, by name or path; all of one model by default."),
    ] = None,
    experts: ExpertsFolder = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw z − 1 by layer and singular value: FILE.png, .pdf or .svg."),
    ] = None,
    json: Json = False,
) -> None:
    """Cosines between the deviations z − 1 of experts of one model, and each one's nearest."""
    from mlx_t2.errors import ConfigError
    from mlx_t2.experts import cosines, draw_deviations, norm, open_library

    if plot is not None and plot.suffix not in _PICTURES:
        raise typer.BadParameter(f"--plot: got {plot}, expected one of {', '.join(_PICTURES)}")
    library = open_library(experts)
    found = _of_one_model([expert for expert, _ in library.experts()])
    chosen = [library.find(name) for name in names] if names else found
    if not chosen:
        raise ConfigError(f"{library.own}: got no expert to compare, expected some")
    matrix = cosines(chosen)
    if plot is not None:
        draw_deviations(chosen, plot)
        note(f"picture: {plot}")
    rows = [_describe(chosen, matrix, i) | {"norm": norm(e)} for i, e in enumerate(chosen)]
    if json:
        emit({"experts": rows, "cosines": matrix.round(6).tolist()})
        return
    titles = [expert.name for expert in chosen]
    table(
        "cosines of z − 1",
        ("", "‖z − 1‖", *titles, "nearest"),
        [
            (
                str(row["name"]),
                f"{row['norm']:.2f}",
                *(f"{value:.3f}" for value in matrix[i]),
                str(row["nearest"] or ""),
            )
            for i, row in enumerate(rows)
        ],
    )


def _of_one_model(found: "list[Expert]") -> "list[Expert]":
    """Those of the first one's model; a note names the others."""
    alike = [expert for expert in found if expert.base_model == found[0].base_model]
    if others := [expert.name for expert in found if expert not in alike]:
        note(f"passed over, of other models: {', '.join(others)}")
    return alike


def _describe(experts: "list[Expert]", matrix: Any, i: int) -> dict[str, Any]:
    """The expert's name, and its nearest other."""
    others = [k for k in range(len(experts)) if k != i]
    nearest = max(others, key=lambda k: matrix[i, k], default=None)
    return {
        "name": experts[i].name,
        "nearest": None if nearest is None else experts[nearest].name,
        "cosine": None if nearest is None else float(matrix[i, nearest]),
    }
