"""`t2 export`: an expert as a file to hand on."""

from pathlib import Path
from typing import Annotated

import typer

from .options import ExpertsFolder, Json
from .render import emit, say


def export(
    expert: Annotated[str, typer.Argument(help="An expert's name, or the path of a file.")],
    out: Annotated[Path, typer.Option(help="File or folder to write.")],
    to: Annotated[str, typer.Option(help="safetensors")] = "safetensors",
    experts: ExpertsFolder = None,
    overwrite: Annotated[bool, typer.Option(help="Replace another file.")] = False,
    json: Json = False,
) -> None:
    """Write an expert as one portable safetensors file."""
    if to != "safetensors":
        raise typer.BadParameter(f"--to: got {to!r}, expected safetensors")
    from mlx_t2.experts import open_library
    from mlx_t2.exporting import to_safetensors

    path = to_safetensors(open_library(experts).find(expert), out, overwrite)
    if json:
        emit({"expert": expert, "path": str(path), "bytes": path.stat().st_size})
    else:
        say(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
