"""`t2 experts`: what has been trained."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .experts_compare import compare_experts
from .options import ExpertsFolder, Json, refuse_options_before
from .render import emit, facts, note, percent, table

if TYPE_CHECKING:
    from mlx_t2.experts import Expert

app = typer.Typer(help="List the experts, or show one.", invoke_without_command=True)


@app.callback()
def experts(context: typer.Context, experts: ExpertsFolder = None, json: Json = False) -> None:
    """List the experts, or show one."""
    if context.invoked_subcommand is None:
        list_experts(experts, json)
    else:
        refuse_options_before(context, experts, json)


app.command("compare")(compare_experts)


@app.command("list")
def list_experts(experts: ExpertsFolder = None, json: Json = False) -> None:
    """The experts in the library, own ones first."""
    from mlx_t2.experts import open_library

    library = open_library(experts)
    found = library.experts()
    for error, _ in library.find_damaged():
        note(f"passed over: {error}")
    if json:
        emit({"experts": [_summary(e) | {"path": str(path)} for e, path in found]})
        return
    rows = [(e.name, e.task, e.acts_on, e.base_model, _gain(e.metrics)) for e, _ in found]
    columns = ("name", "trained on", "acts on", "base model", "validation")
    table("experts", columns, rows)


def _summary(e: "Expert") -> dict[str, Any]:
    """The keys that scripts rely on."""
    return {
        "name": e.name,
        "task": e.task,
        "acts_on": e.acts_on,
        "base_model": e.base_model,
        "metrics": e.metrics,
    }


def _gain(metrics: dict[str, Any]) -> str:
    """Accuracy on validation problems, before and after."""
    before, after = (_share(metrics.get(f"{name}_validation")) for name in ("base", "best"))
    return "" if before == after == "-" else f"{before} → {after}"


def _share(value: Any) -> str:
    """A share in percent; a dash for what is not one."""
    is_share = type(value) in (int, float) and 0 <= value <= 1
    return percent(value) if is_share else "-"


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="An expert's name, or the path of a file.")],
    experts: ExpertsFolder = None,
    json: Json = False,
) -> None:
    """Everything an expert's file says."""
    from mlx_t2.experts import open_library

    e = open_library(experts).find(name)
    known = {
        "name": e.name,
        "task": e.task,
        "acts_on": e.acts_on,
        "base_model": e.base_model,
        "base_fingerprint": e.base_fingerprint,
        "targets": e.targets,
        "rank": str(e.rank or "full"),
        "seed": e.seed,
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
        (f"{k}.{inner}", str(v))
        for k, inside in (("metrics", e.metrics), ("config", e.config))
        for inner, v in inside.items()
    ]
    facts(f"expert {e.name}", plain + nested)
