"""`t2 experts`: what has been trained."""

from typing import Annotated

import typer

from .options import ExpertsFolder, Json
from .render import emit, facts, note, percent, table
from .session import library_in

app = typer.Typer(help="List the experts, or show one.", no_args_is_help=True)


@app.command("list")
def list_experts(experts: ExpertsFolder = None, json: Json = False) -> None:
    """The experts in the library, own ones first."""
    library = library_in(experts)
    found = library.experts()
    for error, _ in library.damaged():
        note(f"passed over: {error}")
    if json:
        keys = ("name", "task", "base_model", "metrics")
        emit(
            {
                "experts": [
                    {k: getattr(e, k) for k in keys} | {"path": str(path)} for e, path in found
                ]
            }
        )
        return
    rows = [
        (e.name, e.task, e.base_model, _gain(e.metrics), f"{path.stat().st_size / 1e3:.0f} kB")
        for e, path in found
    ]
    table("experts", ("name", "trained on", "base model", "validation", "size"), rows)


def _gain(metrics: dict) -> str:
    if "best_validation" not in metrics:
        return ""
    return f"{percent(metrics['base_validation'])} → {percent(metrics['best_validation'])}"


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="An expert's name, or the path of a file.")],
    experts: ExpertsFolder = None,
    json: Json = False,
) -> None:
    """All that is known of one expert."""
    library = library_in(experts)
    e = library.find(name)
    known = {
        **{
            k: getattr(e, k)
            for k in (
                "name",
                "task",
                "base_model",
                "base_fingerprint",
                "targets",
                "rank",
                "seed",
            )
        },
        "vectors": len(e.scales),
        "numbers": sum(z.size for z in e.scales.values()),
        "digest": e.digest,
        "metrics": e.metrics,
        "config": e.config,
    }
    if json:
        emit(known)
        return
    plain = [(k, str(v)) for k, v in known.items() if not isinstance(v, dict)]
    nested = [
        (f"{k}.{inner}", str(v)) for k in ("metrics", "config") for inner, v in known[k].items()
    ]
    facts(f"expert {e.name}", plain + nested)
