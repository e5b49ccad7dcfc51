"""What travels: one expert's file, its card, and results. Checked when it is made and when it
arrives; knows bytes and names, not where they are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.experts import Expert, check_name, read_checked

CARD, RESULTS = "README.md", ".eval_results"
LARGEST = 512 * 2**20
"""The largest expert that is taken from elsewhere [bytes]: one of all matrices of a large model
is smaller.
"""
MOST_FILES = 1000
"""In a place that somebody else filled."""
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
"""Endings of files that may run code when they are read."""


@dataclass(frozen=True)
class Parcel:
    """An expert on its way."""

    name: str
    content: bytes
    """What its file has."""
    extra: Mapping[str, bytes] = field(default_factory=dict)
    """{path: content} of what lies beside it."""
    source: str = ""
    """Where it is from: a place, or a repository at a commit."""

    def files(self) -> dict[str, bytes]:
        """{path: content} of all that is written."""
        return {f"{self.name}.safetensors": self.content, **self.extra}

    @property
    def card(self) -> str:
        """Its card; empty for an expert that arrived."""
        return self.extra.get(CARD, b"").decode()

    def open(self) -> Expert:
        """The expert. Raises ExpertFileError that lists all that is wrong with it."""
        return open_content(self.content, self.name, self.source)


def open_content(content: bytes, name: str, source: str = "") -> Expert:
    """The expert in the content of a file from `source`. Raises ExpertFileError that lists all
    that is wrong with it.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.safetensors"
        path.write_bytes(content)
        try:
            read_checked(path)
            return Expert.load(path)
        except ExpertFileError as error:
            where = f"{source}: {path.name}" if source else path.name
            raise ExpertFileError(str(error).replace(str(path), where)) from error


def make_parcel(expert: Expert, content: bytes, card: str = "", results: str = "") -> Parcel:
    """A parcel to send. Raises ConfigError for a name that no library would take."""
    check_name(expert.name)
    extra = {CARD: card.encode()} if card else {}
    if results:
        extra[f"{RESULTS}/{expert.task}.yaml"] = results.encode()
    return Parcel(expert.name, content, extra)


def choose_file(where: str, sizes: Mapping[str, int], wanted: str | None = None) -> str:
    """The one expert's file among those of a place, told by names and sizes: nothing is read.

    sizes: {path in the place: bytes}.
    wanted: its path, where there are several.
    Raises: ExpertFileError for pickles, files that are too large, none, or several.
    """
    if len(sizes) > MOST_FILES:
        raise ExpertFileError(
            f"{where}: got {len(sizes)} files, expected a place of one expert, at most "
            f"{MOST_FILES}"
        )
    pickles = sorted(path for path in sizes if path.lower().endswith(_PICKLES))
    if pickles:
        raise ExpertFileError(
            f"{where}: got {pickles[0]}, which may run code when it is read, expected "
            "safetensors alone. Nothing of it was read"
        )
    found = [path for path in sizes if path.endswith(".safetensors") and "/" not in path]
    if wanted is not None and wanted not in found:
        known = ", ".join(sorted(found)) or "(none)"
        raise ConfigError(f"{where}: got no {wanted!r}, expected one of {known}")
    if wanted is None and len(found) != 1:
        got = ", ".join(sorted(found)) or "no .safetensors file"
        raise ExpertFileError(
            f"{where}: got {got}, expected one expert"
            + (". Name one of them: --file" if found else "")
        )
    chosen = wanted or found[0]
    check_size(where, chosen, sizes[chosen])
    return chosen


def check_size(where: str, path: str, size: int) -> None:
    """Raise ExpertFileError for a file that is larger than any expert."""
    if size > LARGEST:
        raise ExpertFileError(
            f"{where}: {path}: got {size / 1e6:.0f} MB, expected an expert of at most "
            f"{LARGEST / 1e6:.0f} MB"
        )


def name_from(path: str) -> str:
    """The name of the expert in that file of a parcel."""
    return PurePosixPath(path).stem
