"""`t2 router`: what chooses among the experts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import (
    DEFAULT_MODEL,
    ExpertsFolder,
    Json,
    Model,
    RouterFile,
    Seed,
    refuse_options_before,
)
from .render import emit, facts, note, percent, progress, table
from .session import open_model

if TYPE_CHECKING:
    from mlx_t2.adaptation import PassedOver
    from mlx_t2.experts import Library
    from mlx_t2.models import SVFModel
    from mlx_t2.routing import HeadRouter

app = typer.Typer(
    help="Train what chooses among the experts of a model, or show it.",
    invoke_without_command=True,
)
_TITLE = "reading questions and ordinary requests"


@app.callback()
def router(
    context: typer.Context,
    model: Model = DEFAULT_MODEL,
    experts: ExpertsFolder = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write, instead of the one beside the experts.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Train what chooses among the experts of a model, or show it.

    It learns from the training problems of the experts' tasks and from ordinary requests, and
    its threshold is chosen on validation ones: at most 1 in 100 ordinary requests may be
    answered by an expert.
    """
    if context.invoked_subcommand is not None:
        refuse_options_before(context, model != DEFAULT_MODEL, experts, out, seed, json)
        return
    from mlx_t2.experts import open_library

    library, read = open_library(experts), open_model(model)
    _show(*train_with_bar(read, library, out, seed), json)


def train_with_bar(
    model: "SVFModel", library: "Library", out: Path | None = None, seed: int = 0
) -> "tuple[HeadRouter, Path, tuple[PassedOver, ...]]":
    """A router of the library's experts, trained and written to `out` or to its place; where
    that is, and which experts it will not know.
    """
    from mlx_t2.adaptation import place_of_router, plan_router
    from mlx_t2.files import check_folder

    path = place_of_router(model, library) if out is None else out
    check_folder(path.parent)
    training = plan_router(model, library, seed)
    with progress(_TITLE, training.total) as advance:
        for n_read in training.read():
            advance(n_read)
    made = training.finish()
    made.save(path)
    return made, path, training.passed_over


@app.command()
def show(
    model: Model = DEFAULT_MODEL,
    experts: ExpertsFolder = None,
    router: RouterFile = None,
    json: Json = False,
) -> None:
    """What the router of a model knows, and which experts it does not know."""
    from mlx_t2.adaptation import find_router
    from mlx_t2.experts import open_library

    library, read = open_library(experts), open_model(model)
    found, path = find_router(read, library, router)
    _show(found, path, _name_unknown(read, library, found), json)


def _name_unknown(
    model: "SVFModel", library: "Library", router: "HeadRouter"
) -> "tuple[PassedOver, ...]":
    """The experts of the model that the router does not know."""
    from mlx_t2.adaptation import is_trained_on, name_unknown

    mine = {e.name: e for e, _ in library.experts() if is_trained_on(model, e)}
    return tuple(name_unknown(router, mine))


def _show(
    router: "HeadRouter", path: Path, unknown: "tuple[PassedOver, ...]", is_json: bool
) -> None:
    found = _summarise(router)
    if is_json:
        missing = [{"name": one.name, "why": one.why} for one in unknown]
        emit(found | {"router": str(path), "unknown": missing})
        return
    rows = [
        (label, router.tasks.get(label, ""), _percent(found["recall"].get(label)))
        for label in router.labels
        if label in router.tasks or label in found["recall"]
    ]
    table("labels", ("expert", "task", "validation questions routed to it"), rows)
    facts(
        "router",
        (
            ("file", str(path)),
            ("model", router.base_model),
            ("threshold", f"{router.threshold:.3f}"),
            ("accuracy", f"{_percent(found['accuracy'])} of {found['checked']} requests"),
            (
                "ordinary requests adapted",
                f"{found['adapted']} of {found['ordinary']}: "
                f"{_percent(found['adapted_ordinary'])}, 95 % interval "
                f"{found['interval'][0]:.1%} to {found['interval'][1]:.1%}",
            ),
        ),
    )
    for one in unknown:
        note(f"passed over: {one.why}")


def _summarise(router: "HeadRouter") -> dict[str, Any]:
    """The keys that scripts rely on, of validation requests."""
    from mlx_t2.evaluation import wilson

    metrics = router.metrics
    adapted, ordinary = metrics.get("adapted", 0), metrics.get("ordinary", 0)
    return {
        "labels": list(router.labels),
        "threshold": router.threshold,
        "accuracy": metrics.get("accuracy"),
        "adapted_ordinary": adapted / ordinary if ordinary else None,
        "interval": list(wilson(int(adapted), int(ordinary))),
        "adapted": adapted,
        "ordinary": ordinary,
        "checked": metrics.get("checked", 0),
        "recall": metrics.get("recall", {}),
        "tasks": router.tasks,
    }


def _percent(share: float | None) -> str:
    return "-" if share is None else percent(share)
