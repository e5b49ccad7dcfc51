"""An expert as one file to hand on. Knows the expert file; does not know models."""

from dataclasses import replace
from pathlib import Path

from mlx_t2.errors import FileError
from mlx_t2.experts import Expert
from mlx_t2.files import find_kind, write_whole


def to_safetensors(expert: Expert, out: str | Path, overwrite: bool = False) -> Path:
    """Write the expert to `out`; without the suffix, `out` is a folder. Returns the file.

    Raises: ShapeError for scales that have become unusable; FileError where another file is
        there already and `overwrite` is not set, or where the disk refuses it.
    """
    path = Path(out)
    if path.suffix != ".safetensors":
        path = path / f"{expert.name}.safetensors"
    content = replace(expert).to_bytes()  # made anew, and so checked: arrays can have changed
    if find_kind(path) and not overwrite and not _holds(path, content):
        raise FileError(
            f"{path}: another file is there, expected none. Give another place, or overwrite it"
        )
    write_whole(path, content)
    return path


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
