"""`t2 experts`: the shelf. What is on it, and where; changing it, mixing and sharing have files
of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import experts_sharing, experts_shelf
from .experts_compare import compare_experts
from .options import ExpertsFolder, Json, refuse_options_before
from .render import emit, facts, note, say, table

if TYPE_CHECKING:
    from mlx_t2.experts import Expert, Library

Name = Annotated[str, typer.Argument(help="An expert's name, or the path of a file.")]

app = typer.Typer(
    help="List the experts; show, add, mix or share one.", invoke_without_command=True
)


@app.callback()
def experts(context: typer.Context, experts: ExpertsFolder = None, json: Json = False) -> None:
    """List the experts; show, add, mix or share one."""
    if context.invoked_subcommand is None:
        list_experts(experts, json)
    else:
        refuse_options_before(context, experts, json)


app.command("compare")(compare_experts)


@app.command("list")
def list_experts(experts: ExpertsFolder = None, json: Json = False) -> None:
    """The experts in the library, own ones first, and whether `auto` chooses from them."""
    from mlx_t2.experts import open_library

    library = open_library(experts)
    found = [_Shelved.of(library, expert, path) for expert, path in library.experts()]
    for error, _ in library.find_damaged():
        note(f"passed over: {error}")
    if json:
        emit({"experts": [one.to_json() for one in found]})
        return
    for model in dict.fromkeys(one.expert.base_model for one in found):
        _show_list(model, [one for one in found if one.expert.base_model == model])
    if not found:
        say(f"no experts in {library.own}; t2 train makes one")
    if strangers := [one.expert.name for one in found if not one.is_known]:
        names = ", ".join(strangers)
        note(f"`auto` does not know {names}: wear it by name (--expert), or t2 router")


@app.command()
def show(name: Name, experts: ExpertsFolder = None, json: Json = False) -> None:
    """Everything an expert's file says, and how the library has it."""
    from mlx_t2.experts import coefficients_of, open_library, origin_of

    library = open_library(experts)
    e, path = library.find(name), library.file_of(name)
    known = {
        **_Shelved.of(library, e, path).to_json(),
        "base_fingerprint": e.base_fingerprint,
        "targets": e.targets,
        "rank": str(e.rank or "full"),
        "seed": e.seed,
        "vectors": len(e.scales),
        "numbers": sum(z.size for z in e.scales.values()),
        "digest": e.digest,
        "source": origin_of(library.own, path.read_bytes()) or "",
        "mixture": dict(coefficients_of(e)),
        "config": e.config,
    }
    if json:
        emit(known)
        return
    plain = [(k, _in_words(v)) for k, v in known.items() if not isinstance(v, dict)]
    nested = [
        (f"{k}.{inner}", _in_words(v))
        for k in ("mixture", "metrics", "config")
        for inner, v in known[k].items()
        if (k, inner) not in (("config", "mixture"), ("config", "mixed"))
    ]
    facts(f"expert {e.name}", plain + nested)


@app.command()
def path(
    name: Annotated[str | None, typer.Argument(help="An expert's name.")] = None,
    experts: ExpertsFolder = None,
    json: Json = False,
) -> None:
    """The folder of own experts, or the file of one expert."""
    from mlx_t2.experts import open_library

    library = open_library(experts)
    found = library.own if name is None else library.path_of(name)
    if json:
        emit({"path": str(found)})
    else:
        say(str(found))


app.command()(experts_shelf.add)
app.command()(experts_shelf.remove)
app.command()(experts_shelf.rename)
app.command()(experts_shelf.mix)
app.command()(experts_sharing.push)
app.command()(experts_sharing.pull)


@dataclass(frozen=True)
class _Shelved:
    """An expert, and how its library has it."""

    expert: "Expert"
    path: Path
    domain: str
    is_own: bool
    is_known: bool

    @classmethod
    def of(cls, library: "Library", expert: "Expert", path: Path) -> "_Shelved":
        from mlx_t2.adaptation import domain_of, is_known

        known = is_known(library, expert)
        return cls(expert, path, domain_of(expert.task), library.is_own(path), known)

    @property
    def bytes(self) -> int:
        """The size of the file; 0 where it has just gone."""
        return self.path.stat().st_size if self.path.exists() else 0

    def to_json(self) -> dict[str, Any]:
        """The keys that scripts rely on."""
        return {
            "name": self.expert.name,
            "task": self.expert.task,
            "domain": self.domain,
            "acts_on": self.expert.acts_on,
            "base_model": self.expert.base_model,
            "path": str(self.path),
            "bytes": self.bytes,
            "is_own": self.is_own,
            "is_known": self.is_known,
            "metrics": self.expert.metrics,
        }


def _show_list(model: str, found: "Sequence[_Shelved]") -> None:
    columns = ("name", "domain", "acts on", "accuracy, %", "kB", "from", "auto")
    table(f"experts of {model}", columns, [_row(one) for one in found])


def _row(one: _Shelved) -> Sequence[str]:
    e = one.expert
    return (
        e.name,
        one.domain,
        e.acts_on,
        _gain(e),
        f"{one.bytes / 1e3:.0f}",
        "own" if one.is_own else "bundled",
        "yes" if one.is_known else "no",
    )


def _gain(expert: "Expert") -> str:
    """Accuracy before and after, on test problems where the file knows them."""
    from mlx_t2.experts import records_of

    for record in records_of(expert):
        return f"{100 * record.before:.1f} → {100 * record.after:.1f}"
    return ""


def _in_words(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
