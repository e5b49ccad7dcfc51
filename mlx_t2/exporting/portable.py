"""An expert as one file to hand on. Knows the expert file; a mixture becomes an expert of its
own.
"""

from dataclasses import replace
from pathlib import Path

from mlx_t2.adaptation import Adapted
from mlx_t2.errors import FileError
from mlx_t2.experts import Expert
from mlx_t2.files import find_kind, write_whole
from mlx_t2.models import SVFModel
from mlx_t2.svf import Recipe


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


def as_expert(model: SVFModel, adapted: Adapted, recipe: Recipe, name: str) -> Expert:
    """What was decided, as one expert of the model; its coefficients are in its settings.

    recipe: the layers that the scales are of, and their rank.
    """
    return Expert(
        name,
        dict(adapted.scales),
        base_model=model.name,
        base_fingerprint=model.fingerprint(recipe.targets),
        targets=recipe.targets,
        rank=recipe.rank,
        task="mixture",
        seed=0,
        config={"coefficients": dict(adapted.coefficients), "prompt": list(adapted.prompt)},
        metrics={},
        acts_on=adapted.acts_on,
    )


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
