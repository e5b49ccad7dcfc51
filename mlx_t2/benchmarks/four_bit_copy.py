"""A copy of the default model in 4 bits, made by mlx-lm, with a cache of bases of its own: gone
when it has been measured. Knows mlx-lm; measures nothing.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlx_lm

from mlx_t2.models import SVFModel, find_folder

from .measurement import DEFAULT_MODEL


@contextmanager
def lending_cache() -> Iterator[Path]:
    """Inside the block, bases of models that nobody will open again are in a folder that is
    removed.
    """
    before = os.environ.get("MLX_T2_CACHE")
    with TemporaryDirectory() as folder:
        os.environ["MLX_T2_CACHE"] = str(Path(folder) / "cache")
        try:
            yield Path(folder)
        finally:
            os.environ.pop("MLX_T2_CACHE")
            if before is not None:
                os.environ["MLX_T2_CACHE"] = before


@contextmanager
def open_copy(name: str = DEFAULT_MODEL, bits: int = 4) -> Iterator[Path]:
    """The folder of the copy, in groups of 64."""
    source = find_folder(name)
    with lending_cache() as folder:
        dense, copy = (str(folder / part) for part in ("dense", "copy"))
        with redirect_stdout(sys.stderr):  # it prints what it does
            mlx_lm.convert(str(source), mlx_path=dense, dequantize=True)
            mlx_lm.convert(dense, mlx_path=copy, quantize=True, q_bits=bits, q_group_size=64)
        yield Path(copy)


def load_unwidened(folder: Path) -> SVFModel:
    """The model in the form that it has on disk, on a CPU too."""
    loaded: Any = mlx_lm.load(str(folder))
    network, tokenizer = loaded
    return SVFModel(folder.name, network, tokenizer, source=str(folder))
