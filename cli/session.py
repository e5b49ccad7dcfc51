"""A model ready to wear experts, and the strategy that the flags ask for. Shared by several
commands.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .render import note, stderr, timed_progress

if TYPE_CHECKING:
    from mlx_t2.adaptation import Strategy
    from mlx_t2.experts import Expert, Library
    from mlx_t2.models import Decomposed, SVFModel

STRATEGIES = ("prompt", "classifier", "mixture", "sum", "none")


def opened(name: str, lazy: bool = False) -> "SVFModel":
    """The model, loaded; lazily, its weights stay on disk until they are used."""
    with stderr.status(f"loading {name}"):
        from mlx_t2.models import load

        return load(name, lazy)


def decomposed(
    model: "SVFModel", targets: str = "mlp", rank: int | None = None, bits: int | None = None
) -> list:
    """Give the model SVF layers; the reports of the decomposition."""
    from mlx_t2.svf import Recipe

    recipe = Recipe(targets=targets, rank=rank, bits=bits)
    return watched(model.decompose(recipe), len(model.targeted(targets)))


def watched(decomposing: "Iterator[Decomposed]", total: int) -> "list[Decomposed]":
    """The reports of a decomposition, shown as they come, with the time left."""
    reports = []
    with timed_progress("decomposing", total) as show:
        for report in decomposing:
            reports.append(report)
            show(report.index, report.seconds_left)
    return reports


def check_choice(expert: str | None, mix: str | None, adapt: str | None) -> None:
    """At most one of the three; a usage error otherwise."""
    given = [
        flag
        for flag, value in (("--expert", expert), ("--mix", mix), ("--adapt", adapt))
        if value is not None
    ]
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)} exclude each other; give one")
    if adapt is not None and adapt not in STRATEGIES:
        raise typer.BadParameter(
            f"--adapt: got {adapt!r}, expected one of {', '.join(STRATEGIES)}"
        )


def library_in(folder: Path | None) -> "Library":
    """The user's library with the bundled experts, or the experts of one folder."""
    from mlx_t2.errors import ConfigError
    from mlx_t2.experts import Library

    if folder is None:
        return Library()
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder, expected one with experts in it")
    return Library(folder, bundled=None)


def experts_for(
    model: "SVFModel", folder: Path | None, allow_transfer: bool = False
) -> dict[str, "Expert"]:
    """{name: expert} of all that were trained on this model, in the library or in a folder; on
    any model, where transfer is allowed.
    """
    from mlx_t2.errors import ConfigError

    library = library_in(folder)
    for error, _ in library.damaged():
        note(f"passed over: {error}")
    found = {
        e.name: e
        for e, _ in library.experts()
        if allow_transfer or e.base_fingerprint == model.fingerprint(e.targets)
    }
    if not found:
        raise ConfigError(
            f"{folder or 'library'}: no expert of {model.name}, expected at least one. "
            "Train one: t2 train"
        )
    return found


def strategy_for(
    model: "SVFModel",
    expert: str | None,
    mix: str | None,
    adapt: str | None,
    folder: Path | None,
    allow_transfer: bool = False,
    basis_bits: int | None = None,
) -> tuple["Strategy", dict[str, "Expert"]]:
    """What the flags ask for, and the experts it chooses from; the model is decomposed to fit
    them.
    """
    from mlx_t2 import adaptation
    from mlx_t2.experts import parse_mix

    if expert is not None or mix is not None:
        library = library_in(folder)
        weights = {str(expert): 1.0} if mix is None else parse_mix(mix)
        experts = {name: library.find(name) for name in weights}
        fit(model, experts, allow_transfer, basis_bits)
        return adaptation.Named(experts, weights), experts
    if adapt in (None, "none"):
        return adaptation.NoAdaptation(), {}
    experts = experts_for(model, folder, allow_transfer)
    fit(model, experts, allow_transfer, basis_bits)
    if adapt == "sum":
        return adaptation.Sum(experts), experts
    if adapt == "prompt":
        return adaptation.PromptStrategy(experts), experts
    router = router_for(model, folder)
    known = {name: e for name, e in experts.items() if name in router.labels}
    chosen = (
        adaptation.ClassifierStrategy if adapt == "classifier" else adaptation.MixtureStrategy
    )
    return chosen(known, router), known


def router_for(model: "SVFModel", folder: Path | None):
    """The router in the folder, or the bundled one."""
    from mlx_t2.adaptation import Router
    from mlx_t2.experts import BUNDLED

    return Router.load((folder or BUNDLED / model.name) / "router.safetensors")


def fit(
    model: "SVFModel",
    experts: dict[str, "Expert"],
    allow_transfer: bool = False,
    basis_bits: int | None = None,
) -> None:
    """Decompose the model as the experts were trained, and check each of them against it."""
    from mlx_t2.errors import ConfigError

    forms = {(e.targets, e.rank) for e in experts.values()}
    if len(forms) > 1:
        raise ConfigError(
            f"experts: trained on different layers or ranks ({sorted(forms)}), expected one"
        )
    targets, rank = forms.pop()
    decomposed(model, targets, None if rank == "full" else int(rank), basis_bits)
    for e in experts.values():
        fingerprint = model.fingerprint(e.targets)
        e.check(model.name, fingerprint, model.shapes, allow_transfer)
        if fingerprint != e.base_fingerprint:
            note(
                f"transfer: {e.name} was trained on {e.base_model}, and is worn by {model.name}"
            )
