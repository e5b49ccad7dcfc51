"""`t2 train --add`: the trained expert goes into the library, and the router learns of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .render import note, percent, say
from .router import train_with_bar

if TYPE_CHECKING:
    from mlx_t2.models import SVFModel

AddName = Annotated[
    str | None,
    typer.Option(
        "--add",
        help="Keep the expert under this name, and let `auto` choose it; it then acts on what "
        "the others do that `auto` chooses from, unless --acts-on says otherwise.",
    ),
]
_EXPERT = "expert.safetensors"
"""What a training writes into its run folder."""


def check_new_name(name: str, out: Path) -> None:
    """Raise ConfigError for a name that the expert cannot be kept under. The expert of this run
    may be there already: a run that was resumed adds it again.
    """
    from mlx_t2.errors import ConfigError
    from mlx_t2.experts import Library

    library = Library()
    namesake, trained = library.find_namesake(name), out / _EXPERT
    if namesake is None:
        return
    is_own = library.is_own(namesake)
    if is_own and trained.is_file() and trained.read_bytes() == namesake.read_bytes():
        return
    remedy = f". It goes away with: t2 experts remove {name}" if is_own else ""
    raise ConfigError(
        f"--add: got {name!r}, another expert is called so ({namesake}), expected a name that "
        f"is free{remedy}"
    )


def prefer_kind(model: "SVFModel") -> dict[str, Any]:
    """The setting under which `auto` can choose the new expert beside the others that it
    chooses from; none, where there are no others. Experts are a model's by their fingerprint,
    whatever it is called.
    """
    from mlx_t2.adaptation import choose_kind, is_known, is_trained_on
    from mlx_t2.experts import Library

    library = Library()
    known = [expert for expert, _ in library.experts() if is_known(library, expert)]
    others = [expert for expert in known if is_trained_on(model, expert)]
    return {"acts_on": choose_kind(others)} if others else {}


def add_to_library(model: "SVFModel", name: str, out: Path) -> dict[str, Any]:
    """Keep the expert of the run folder, and train the model's router anew, to know it. Without
    a router it is there all the same: `why` says what is missing.
    """
    from mlx_t2.adaptation import is_known
    from mlx_t2.errors import T2Error
    from mlx_t2.experts import Library

    library = Library()
    path = library.add_file(out / _EXPERT, name, overwrite=True)
    added: dict[str, Any] = {"name": name, "path": str(path), "is_known": False}
    note(f"{name}: {path}; now the router learns of it")
    try:
        router, place, passed_over = train_with_bar(model, library)
    except T2Error as error:
        return added | {"why": str(error)}
    reasons = [one.why for one in passed_over if one.name == name]
    if reasons:
        return added | {"why": reasons[0]}
    if not is_known(library, library.find(name)):
        kind = prefer_kind(model).get("acts_on", "answer")
        return added | {"why": f"it chooses from experts of one kind; --acts-on {kind}"}
    metrics = router.metrics
    return added | {
        "is_known": True,
        "router": str(place),
        "recall": metrics.get("recall", {}).get(name),
        "adapted": metrics.get("adapted", 0),
        "ordinary": metrics.get("ordinary", 0),
    }


def show_added(added: dict[str, Any]) -> None:
    """Say what it is called now, and how surely `auto` finds it."""
    say(f"added as {added['name']}: {added['path']}")
    if not added["is_known"]:
        note(f"`auto` does not know it; --expert {added['name']} wears it: {added['why']}")
        return
    recall = "-" if added["recall"] is None else percent(added["recall"])
    say(
        f"router: {recall} of its validation questions go to it, and {added['adapted']:.0f} of "
        f"{added['ordinary']:.0f} ordinary requests to an expert"
    )
