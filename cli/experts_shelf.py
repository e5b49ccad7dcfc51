"""`t2 experts add`, `remove`, `rename` and `mix`: own experts come and go."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .asking import Yes, agree_or_leave
from .options import DEFAULT_MODEL, ExpertsFolder, Json
from .render import emit, note, say

if TYPE_CHECKING:
    from mlx_t2.experts import Library

NewName = Annotated[
    str | None, typer.Option("--name", help="What to call it; its file's name by default.")
]


def add(
    file: Annotated[Path, typer.Argument(help="An expert's file, or the folder of a run.")],
    name: NewName = None,
    yes: Yes = False,
    experts: ExpertsFolder = None,
    json: Json = False,
) -> None:
    """Keep an expert in the library: from then on its name will do."""
    from mlx_t2.experts import name_of, open_library, read_checked

    library = open_library(experts)
    source = file / "expert.safetensors" if file.is_dir() else file
    content = read_checked(source)
    called = name_of(source) if name is None else name
    may_replace(library, called, content, yes)
    path = library.add_file(source, called, overwrite=True)
    report_added(library, called, path, json)


def remove(
    names: Annotated[list[str], typer.Argument(help="Own experts.")],
    yes: Yes = False,
    experts: ExpertsFolder = None,
    json: Json = False,
) -> None:
    """Remove own experts from the library: their files are deleted."""
    from mlx_t2.experts import open_library

    library = open_library(experts)
    paths = [library.own_path(name) for name in names]
    if not yes:
        question = f"delete {', '.join(map(str, paths))}?"
        agree_or_leave(question, "--yes removes it", "nothing was removed")
    for name in names:
        library.remove(name)
    if json:
        emit({"removed": [str(path) for path in paths]})
        return
    for name, path in zip(names, paths, strict=True):
        say(f"{name}: removed ({path})")


def rename(
    name: Annotated[str, typer.Argument(help="An own expert.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
    experts: ExpertsFolder = None,
    json: Json = False,
) -> None:
    """Give an own expert another name. A router knows it by the old one."""
    from mlx_t2.experts import Expert, open_library

    library = open_library(experts)
    Expert.load(library.own_path(name))  # a damaged one is said to be so, and stays
    report_added(library, new, library.rename(name, new), json)


def mix(
    mixture: Annotated[str, typer.Argument(help="largest=0.6,kind=0.4")],
    name: Annotated[str, typer.Option(help="What to call the new expert.")],
    yes: Yes = False,
    experts: ExpertsFolder = None,
    json: Json = False,
) -> None:
    """Keep a mixture of experts as an expert: z = 1 + the sum of coefficient · (z of each − 1).

    It can be worn, measured, exported and shared like any other.
    """
    from mlx_t2.experts import make_mixture, open_library, parse_mix

    library = open_library(experts)
    coefficients = parse_mix(mixture)
    found = [library.find(one) for one in coefficients]
    mixed = make_mixture(name, found, list(coefficients.values()))
    may_replace(library, name, mixed.to_bytes(), yes)
    path = library.add(mixed, name, overwrite=True)
    report_added(library, name, path, json)


def may_replace(library: "Library", name: str, content: bytes, yes: bool) -> None:
    """Ask before an expert is replaced or hidden by one of the same name but other content.

    Raises: ConfigError for a name that no expert can have.
    """
    namesake = library.find_namesake(name)
    if namesake is None or yes or namesake.read_bytes() == content:
        return
    is_own = library.is_own(namesake)
    what = f"replace {namesake}" if is_own else f"hide the bundled expert {name}"
    agree_or_leave(
        f"{name} is taken. {what[0].upper()}{what[1:]}?",
        f"{name} is taken: another --name, or --yes to {what}",
        "nothing was changed",
    )


def report_added(
    library: "Library", name: str, path: Path, is_json: bool, source: str = ""
) -> None:
    """Say where an expert is now, which model it is of, and whether `auto` knows it."""
    from mlx_t2.adaptation import is_known
    from mlx_t2.experts import Expert

    expert = Expert.load(path)
    known = is_known(library, expert)
    if is_json:
        told = {"name": name, "path": str(path), "base_model": expert.base_model}
        told |= {"source": source} if source else {}
        emit(told | {"is_known": known})
        return
    say(f"{name}: {path}")
    is_default = expert.base_model == DEFAULT_MODEL
    if not is_default:
        note(f"it is an expert of {expert.base_model}: wear it with --model")
    if not known:
        command = "t2 router" if is_default else "t2 router --model …"
        note(f"`auto` does not know it yet: wear it by name, or let it be known: {command}")
