"""A folder of experts, and the bundled ones. Knows files by name; knows no model."""

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.files import file_errors, find_kind, reading_errors, write_whole
from mlx_t2.folders import data_dir

from .composition import parse_composition
from .expert import Expert
from .file import FORMAT, file_format, name_of

BUNDLED = Path(__file__).parent / "bundled"
"""Experts that come with the program, as <model>/<name>.safetensors."""
_ROUTER, _ROUTERS = "router.safetensors", "router*.safetensors"
_NAME = re.compile(r"[^\W\d_][\w.-]{0,63}")
_TAKEN = ("auto", "base", "expert", "none", "off", "other")
"""Names that mean something else wherever an expert is named; `expert.safetensors` is called as
its folder.
"""


def check_name(name: str) -> None:
    """Raise ConfigError for a name that no expert of a library can have. In mixtures names
    stand beside numbers and signs, so they begin with a letter and have no sign but . - and _.
    """
    is_file_of_ours = name.startswith("router") or name.endswith(".safetensors")
    if _NAME.fullmatch(name) and name not in _TAKEN and not is_file_of_ours:
        return
    raise ConfigError(
        f"expert: got the name {name!r}, expected a letter and then at most 63 letters, "
        f"digits, dots, dashes or underscores; and neither router… nor {', '.join(_TAKEN)}"
    )


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
        return Expert.load(self.file_of(name_or_path))

    def path_of(self, name: str) -> Path:
        """The file of the expert of that name, usable or not. Raises ConfigError that lists the
        known names.
        """
        paths = self._paths()
        if name not in paths:
            raise ConfigError(
                f"expert {name!r}: unknown, expected one of: "
                f"{', '.join(sorted(paths)) or f'(none in {self.own})'}; or the path of a file"
            )
        return paths[name]

    def file_of(self, name_or_path: str) -> Path:
        """The file that `find` reads. Raises ConfigError that lists the known names."""
        if _is_path(name_or_path):
            return Path(name_or_path)
        return self.path_of(name_or_path)

    def is_own(self, path: Path) -> bool:
        """Whether a file of the library is the user's; the others come with the program."""
        return path.parent == self.own

    def own_path(self, name: str) -> Path:
        """The file of an own expert, usable or not. Raises ConfigError for any other."""
        path = self.path_of(name)
        if self.is_own(path):
            return path
        own = [one for one, file in self._paths().items() if self.is_own(file)]
        raise ConfigError(
            f"expert {name!r}: it comes with the program and stays as it is, expected one of "
            f"your own: {', '.join(sorted(own)) or f'(none in {self.own})'}"
        )

    # Changing it: own experts only, each step whole or not at all

    def find_namesake(self, name: str) -> Path | None:
        """The file that an expert added under that name would replace or hide.

        Raises: ConfigError for a name that no expert can have.
        """
        check_name(name)
        paths = self._paths()
        own = self._place(name)
        return own if find_kind(own) else paths.get(name)

    def add(self, expert: Expert, name: str, overwrite: bool = False) -> Path:
        """Keep the expert under that name; its file. A router does not know it yet.

        Raises: ConfigError for a name that is no expert's, or taken and not to be overwritten;
            FileError where it cannot be written.
        """
        content = replace(expert, name=name).to_bytes()
        return self.add_content(content, name, overwrite)

    def add_file(self, file: Path, name: str = "", overwrite: bool = False) -> Path:
        """Keep a copy of an expert's file, byte for byte, under that name or its own.

        Raises: ExpertFileError for a file that is not usable; and what `add` raises.
        """
        return self.add_content(read_checked(file), name or name_of(file), overwrite)

    def remove(self, name: str) -> Path:
        """Remove an own expert; the file that was. Raises ConfigError for any other."""
        path = self.own_path(name)
        with file_errors(path):
            path.unlink()
        return path

    def rename(self, name: str, new: str) -> Path:
        """Give an own expert another name; its file. Stopped half-way, it has both names.

        Raises: ConfigError for an expert that is not one's own, or a name that is taken.
        """
        old = self.own_path(name)
        if (namesake := self.find_namesake(new)) is not None:
            raise _taken(new, namesake)
        path = self._place(new)
        with file_errors(path):
            try:
                os.link(old, path)  # unlike a renaming, over nobody's file
                old.unlink()
            except FileExistsError:
                raise _taken(new, path) from None
            except OSError:  # a file system without links
                os.rename(old, path)
        return path

    def add_content(self, content: bytes, name: str, overwrite: bool = False) -> Path:
        """Keep a file's content that was checked before; otherwise as `add`."""
        namesake = self.find_namesake(name)
        if namesake is not None and not overwrite:
            raise _taken(name, namesake)
        path = self._place(name)
        write_whole(path, content)
        return path

    def _place(self, name: str) -> Path:
        return self.own / f"{name}.safetensors"

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
            routers = set(self.own.glob(_ROUTERS))
            files = sorted(set(self.own.glob("[!.]*.safetensors")) - routers)
        if self.bundled is not None:
            files += sorted(self.bundled.glob("*/*.safetensors"))
        paths: dict[str, Path] = {}
        for path in files:
            if file_format(path) in (FORMAT, None):
                paths.setdefault(name_of(path), path)
        return paths


def is_bundled(path: Path) -> bool:
    """Whether the file is one of the bundled ones."""
    return path.is_relative_to(BUNDLED)


def read_checked(file: Path) -> bytes:
    """The content of an expert's file. Raises ExpertFileError that lists all that is wrong with
    it, or says what else it is.
    """
    kind = file_format(file)
    if kind not in (FORMAT, None):
        raise ExpertFileError(
            f"{file}: got a safetensors file of the format {kind!r}, expected {FORMAT!r}, as "
            "t2 train writes it"
        )
    Expert.load(file)
    with reading_errors(file):
        return file.read_bytes()


def _is_path(name: str) -> bool:
    """Whether an expert is named by its file."""
    return "/" in name or name.endswith(".safetensors")


def _is_file(name: str) -> bool:
    return _is_path(name) and find_kind(Path(name)) == "file"


def _taken(name: str, namesake: Path) -> ConfigError:
    return ConfigError(
        f"expert {name!r}: another is called so ({namesake}), expected a name that is free"
    )


def open_library(folder: Path | None = None) -> Library:
    """The user's library with the bundled experts; or the experts of one folder alone.

    Raises: ConfigError for a folder that does not exist; FileError for one that cannot.
    """
    if folder is None:
        return Library()
    if find_kind(folder) != "folder":
        raise ConfigError(f"{folder}: no such folder, expected one with experts in it")
    return Library(folder, bundled=None)
