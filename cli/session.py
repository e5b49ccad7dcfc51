"""Opening models and making them ready, with a bar and a note for whoever waits. Shared by
several commands; decides nothing.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .render import is_terminal, note, spinner, stderr, timed_progress

if TYPE_CHECKING:
    from mlx_t2.adaptation import Preparation, Strategy
    from mlx_t2.models import Decomposed, SVFModel

ROUTED = ("auto", "classifier", "cls", "mixture")
"""The adaptations that read a router's file."""


def open_model(name: str, lazy: bool = False) -> "SVFModel":
    """The model, loaded; lazily, its weights stay on disk until they are used. What is to be
    said about it from now on is said beside the result.
    """
    with spinner(f"loading {name}"):
        from mlx_t2.models import download, hub_id, load

    _show_remarks()
    if (repo := hub_id(name)) is not None:
        _show_download_bars()
        download(repo)
    with spinner(f"loading {name}"):
        return load(name, lazy)


def _show_remarks() -> None:
    """Show the library's remarks as notes, and leave other warnings as they are."""
    from mlx_t2.errors import ModelWarning

    show_others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if issubclass(category, ModelWarning):
            note(str(message))
        else:
            show_others(message, category, *place)

    warnings.simplefilter("always", ModelWarning)
    warnings.showwarning = show


def _show_download_bars() -> None:
    """The hub's own bars, one per file: on a terminal alone."""
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

    (enable_progress_bars if is_terminal(stderr) else disable_progress_bars)()


def decompose_with_bar(
    model: "SVFModel", targets: str = "mlp", rank: int | None = None
) -> "list[Decomposed]":
    """Give the model SVF layers; the reports of the decomposition."""
    from mlx_t2.svf import Recipe

    recipe = Recipe(targets=targets, rank=rank)
    return show_decomposition(model.decompose(recipe), len(model.find_targets(targets)))


def show_decomposition(reports: "Iterator[Decomposed]", total: int) -> "list[Decomposed]":
    """The reports, with a bar and the time left while they are made."""
    shown = []
    with timed_progress("decomposing", total) as show:
        for report in reports:
            shown.append(report)
            show(report.index, report.seconds_left)
    return shown


def check_choice(
    expert: str | None,
    mix: str | None,
    adapt: str | None,
    router: Path | None = None,
    word: str | None = None,
) -> None:
    """At most one of the three, and a router only where one chooses; else a usage error.

    word: what they ask for together, where it is not `adapt` alone.
    """
    given = [
        flag
        for flag, value in (("--expert", expert), ("--mix", mix), ("--adapt", adapt))
        if value is not None
    ]
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)} exclude each other; give one")
    if router is not None and (word or adapt) not in ROUTED:
        raise typer.BadParameter(
            f"--router: got --adapt {word or adapt}, expected one of {', '.join(ROUTED)}"
        )
    if mix is not None:
        from mlx_t2.experts import parse_mix

        parse_mix(mix)  # known before the model is loaded
    if adapt is None:
        return
    from mlx_t2.adaptation import ADAPTATIONS

    if adapt not in ADAPTATIONS:
        raise typer.BadParameter(
            f"--adapt: got {adapt!r}, expected one of {', '.join(ADAPTATIONS)}"
        )


def open_strategy(
    model: "SVFModel",
    expert: str | None = None,
    mix: str | None = None,
    adapt: str | None = None,
    folder: Path | None = None,
    allow_transfer: bool = False,
    basis_bits: int | None = None,
    router: Path | None = None,
) -> "Strategy":
    """What the flags ask for, on a model that is made ready for it; what is refused changes
    nothing.
    """
    from mlx_t2.adaptation import prepare_strategy
    from mlx_t2.experts import open_library, parse_mix

    library = open_library(folder)
    coefficients = library.parse(expert) if expert is not None else None
    preparation = prepare_strategy(
        model,
        library,
        coefficients=coefficients if mix is None else parse_mix(mix),
        adaptation=adapt or "none",
        allow_transfer=allow_transfer,
        basis_bits=basis_bits,
        router=router,
    )
    show_preparation(preparation)
    return preparation.strategy


def show_preparation(preparation: "Preparation") -> None:
    """Make the model ready, and say what is to be said about it."""
    model = preparation.model
    for one in preparation.passed_over:
        if one.is_bundled:  # `t2 router show` names it
            continue
        note(f"passed over: {one.why}")
    if preparation.total:
        show_decomposition(preparation.decompose(), preparation.total)
    for one in preparation.transferred:
        note(
            f"transfer: {one.name} was trained on {one.base_model}, and is worn by {model.name}"
        )
