"""An expert as one file to hand on. Knows the expert file; knows no model."""

from dataclasses import replace
from pathlib import Path

from mlx_t2.errors import ExpertFileError
from mlx_t2.experts import Expert


def to_safetensors(expert: Expert, out: str | Path, overwrite: bool = False) -> Path:
    """Write the expert to `out`; without the suffix, `out` is a folder. Returns the file.

    Raises: ShapeError for scales that have become unusable; ExpertFileError where another file
    is there already and `overwrite` is not set; FileError where the disk does not take it.
    """
    path = Path(out)
    if path.suffix != ".safetensors":
        path = path / f"{expert.name}.safetensors"
    checked = replace(expert)  # constructed anew: arrays can have been changed in place
    if path.exists() and not overwrite and not _holds(path, checked.encoded()):
        raise ExpertFileError(
            f"{path}: another file is there, expected none. Give another place, or overwrite it"
        )
    checked.save(path)
    return path


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
