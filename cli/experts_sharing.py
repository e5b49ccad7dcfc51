"""`t2 experts push` and `pull`: experts handed on, through the hub, a folder or an archive."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .asking import Yes, agree_or_leave
from .experts_shelf import NewName, may_replace, report_added
from .options import ExpertsFolder, Json
from .render import emit, note, say, spinner

if TYPE_CHECKING:
    from mlx_t2.experts import Expert
    from mlx_t2.sharing import Measured, Parcel

_SHOWN = 12
"""Own texts that are shown before they are published."""


Evals = Annotated[
    list[Path] | None,
    typer.Option(
        "--eval",
        help="Answers of `t2 eval --compare --out`, for the card; can be given again.",
    ),
]
Licence = Annotated[
    str | None, typer.Option("--license", help="The hub's word for it, like apache-2.0.")
]
BaseRepo = Annotated[
    str | None, typer.Option("--base-model", help="The base model's id on the hub.")
]
Repo = Annotated[str | None, typer.Argument(help="Repository of the hub: OWNER/NAME.")]
To = Annotated[
    Path | None, typer.Option(help="Folder or .tar.gz to write instead, without a network.")
]
NoExamples = Annotated[
    bool, typer.Option("--no-examples", help="Leave out questions and worked examples.")
]


def push(
    name: Annotated[str, typer.Argument(help="An expert's name, or the path of a file.")],
    repo: Repo = None,
    to: To = None,
    evals: Evals = None,
    licence: Licence = None,
    base_repo: BaseRepo = None,
    description: Annotated[str, typer.Option(help="One line: what it is for.")] = "",
    no_examples: NoExamples = False,
    private: Annotated[bool, typer.Option(help="A new repository is private.")] = False,
    card: Annotated[bool, typer.Option(help="Show the card, and share nothing.")] = False,
    yes: Yes = False,
    experts: ExpertsFolder = None,
    json: Json = False,
) -> None:
    """Share an expert with its card, on the hub or as a file.

    An expert's file holds questions and answers that may be your own: they are shown, and it is
    asked, before they are published.
    """
    if (repo is None) == (to is None) and not card:
        raise typer.BadParameter("expected a repository, OWNER/NAME, or a place: --to")
    from mlx_t2.experts import open_library
    from mlx_t2.sharing import own_texts, without_private

    library = open_library(experts)
    library.find(name)  # what is wrong with it is said of its file
    content, left_out = without_private(library.file_of(name).read_bytes(), not no_examples)
    place = repo or (f"./{to.name}" if to else "OWNER/NAME")
    parcel = _pack(name, content, evals or [], place, licence, base_repo, description)
    if card:
        say(parcel.card)
        return
    for what in left_out:
        note(f"left out: {what}")
    _ask_about(own_texts(content), yes)
    where = _send(parcel, repo, to, private)
    if json:
        emit({"name": parcel.name, "pushed": where, "files": sorted(parcel.files())})
    else:
        say(f"{parcel.name}: {where}")


def _pack(
    name: str,
    content: bytes,
    evals: Sequence[Path],
    place: str,
    licence: str | None,
    base_repo: str | None,
    description: str,
) -> "Parcel":
    """The expert with its card, as it will be sent."""
    from importlib.metadata import version

    from mlx_t2.experts import name_of
    from mlx_t2.sharing import Described, make_card, make_parcel, make_results, open_content

    called = name_of(Path(name)) if name.endswith(".safetensors") else name
    expert = open_content(content, called)
    measured = _measure(expert, evals)
    said = Described(
        measured=measured,
        base_repo=base_repo or _base_repo(expert),
        repo=place,
        licence=licence,
        description=description,
        version=version("mlx-t2"),
    )
    if said.base_repo is None:
        note("the card links no base model; --base-model names it on the hub")
    results = make_results(expert, measured)
    return make_parcel(expert, content, make_card(expert, said), results)


def _send(parcel: "Parcel", repo: str | None, to: Path | None, private: bool) -> str:
    """Send it; where it is then."""
    from mlx_t2.sharing import push as push_to_hub
    from mlx_t2.sharing import write_place

    if repo is None:
        assert to is not None
        return str(write_place(parcel, to))
    with spinner(f"pushing {repo}"):
        return push_to_hub(parcel, repo, private)


def pull(
    place: Annotated[
        str, typer.Argument(metavar="REPO|PATH", help="OWNER/NAME, a folder or an archive.")
    ],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit; the newest by default.")
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="Which expert, where there are several.")
    ] = None,
    name: NewName = None,
    yes: Yes = False,
    experts: ExpertsFolder = None,
    json: Json = False,
) -> None:
    """Take an expert from the hub, a folder or an archive into the library.

    Only safetensors are read, and nothing of it is run. The commit is written down: `t2 experts
    show` says where an expert is from.
    """
    from mlx_t2.experts import open_library, record_origin
    from mlx_t2.sharing import is_place, read_place
    from mlx_t2.sharing import pull as pull_from_hub

    library = open_library(experts)
    if is_place(place):
        if revision is not None:
            raise typer.BadParameter("--revision: a folder or an archive has none")
        parcel = read_place(Path(place), file)
    else:
        with spinner(f"pulling {place}"):
            parcel = pull_from_hub(place, revision, file)
    called = parcel.name if name is None else name
    may_replace(library, called, parcel.content, yes)
    path = library.add_content(parcel.content, called, overwrite=True)
    record_origin(library.own, parcel.content, parcel.source)
    if not json:
        note(f"from {parcel.source}")
    report_added(library, called, path, json, parcel.source)


def _measure(expert: "Expert", evals: Sequence[Path]) -> "list[Measured]":
    """Rows of the card: pairs of answers, else what the expert's own file says."""
    from mlx_t2.evaluation import read_items
    from mlx_t2.sharing import measure_pair, measured_by_training

    paired = [
        measure_pair(
            expert,
            read_items(path.with_name(f"{path.stem}.base{path.suffix}")),
            read_items(path),
        )
        for path in evals
    ]
    known = {(one.task, one.split) for one in paired}
    own = measured_by_training(expert)
    return [*paired, *(one for one in own if (one.task, one.split) not in known)]


def _base_repo(expert: "Expert") -> str | None:
    """The hub's id of the expert's model, where its name tells."""
    from mlx_t2.models import ALIASES

    name = ALIASES.get(expert.base_model, expert.base_model)
    return name if name.count("/") == 1 and not name.startswith(("/", ".", "~")) else None


def _ask_about(texts: Sequence[str], yes: bool) -> None:
    """Show what may be somebody's own, and go on only where that is meant."""
    if not texts or yes:
        return
    note(f"its file has {len(texts)} questions and answers, which everybody could read:")
    for text in texts[:_SHOWN]:
        note(f"  {' '.join(text.split())[:200]!r}")
    if len(texts) > _SHOWN:
        note(f"  and {len(texts) - _SHOWN} more")
    agree_or_leave(
        "share them?",
        "--yes shares its questions and answers, --no-examples leaves them out",
        "nothing was shared; --no-examples leaves them out",
    )
