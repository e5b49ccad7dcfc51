"""A folder of experts, and the bundled ones. Knows files by name; knows no model."""

from dataclasses import dataclass, field
from pathlib import Path

from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.files import find_kind, reading_errors
from mlx_t2.folders import data_dir

from .composition import parse_composition
from .expert import Expert
from .file import FORMAT, file_format, name_of

BUNDLED = Path(__file__).parent / "bundled"
"""Experts that come with the program, as <model>/<name>.safetensors."""
_ROUTER, _ROUTERS = "router.safetensors", "router*.safetensors"


@dataclass(frozen=True)
class Library:
    """Own experts, then the bundled ones; an own file, even damaged, hides its namesake."""

    folder: Path | None = None
    """Own experts, as <name>.safetensors. None is `experts` in the data folder."""
    bundled: Path | None = field(default=BUNDLED, kw_only=True)
    """None leaves the bundled ones out."""

    @property
    def own(self) -> Path:
        """The folder of own experts; it need not exist."""
        return data_dir() / "experts" if self.folder is None else self.folder

    def experts(self) -> list[tuple[Expert, Path]]:
        """Every readable expert and its file, own first, by name; the rest: `find_damaged`."""
        return self._read()[0]

    def find_damaged(self) -> list[tuple[ExpertFileError, Path]]:
        """Every file that should be an expert and is not usable, with what is wrong with it."""
        return self._read()[1]

    def router_paths(self) -> list[Path]:
        """Where routers are: beside the experts, own first. Which one is a model's, its
        fingerprint says.
        """
        with reading_errors(self.own):
            own = sorted(self.own.glob(_ROUTERS))
        if self.bundled is None:
            return own or [self.own / _ROUTER]
        return [*own, *sorted(self.bundled.glob(f"*/{_ROUTER}"))]

    def find(self, name_or_path: str) -> Expert:
        """The expert of that name; or in that file, given a slash or .safetensors in it.

        Raises: ConfigError that lists the known names; ExpertFileError for an unusable file.
        """
        if _is_path(name_or_path):
            return Expert.load(name_or_path)
        paths = self._paths()
        if name_or_path not in paths:
            raise ConfigError(
                f"expert {name_or_path!r}: unknown, expected one of: "
                f"{', '.join(sorted(paths)) or f'(none in {self.own})'}; or the path of a file"
            )
        return Expert.load(paths[name_or_path])

    def parse(self, text: str) -> dict[str, float]:
        """{name or path: coefficient} of an expert, or of a sum of several, see
        `parse_composition`.

        Raises: ConfigError for what is neither; whether there are such experts, `find` says.
        """
        paths = self._paths()
        return parse_composition(text, lambda name: name in paths or _is_file(name))

    def _read(self) -> tuple[list[tuple[Expert, Path]], list[tuple[ExpertFileError, Path]]]:
        experts, damaged = [], []
        for path in self._paths().values():
            try:
                experts.append((Expert.load(path), path))
            except ExpertFileError as error:
                damaged.append((error, path))
        return experts, damaged

    def _paths(self) -> dict[str, Path]:
        """{name: file} of all that may be experts; files of another format are not."""
        with reading_errors(self.own):
            files = sorted(self.own.glob("*.safetensors"))
        if self.bundled is not None:
            files += sorted(self.bundled.glob("*/*.safetensors"))
        paths: dict[str, Path] = {}
        for path in files:
            if file_format(path) in (FORMAT, None):
                paths.setdefault(name_of(path), path)
        return paths


def _is_path(name: str) -> bool:
    """Whether an expert is named by its file."""
    return "/" in name or name.endswith(".safetensors")


def _is_file(name: str) -> bool:
    return _is_path(name) and find_kind(Path(name)) == "file"


def open_library(folder: Path | None = None) -> Library:
    """The user's library with the bundled experts; or the experts of one folder alone.

    Raises: ConfigError for a folder that does not exist; FileError for one that cannot.
    """
    if folder is None:
        return Library()
    if find_kind(folder) != "folder":
        raise ConfigError(f"{folder}: no such folder, expected one with experts in it")
    return Library(folder, bundled=None)
