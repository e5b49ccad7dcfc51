"""Bases on disk, each keyed by the weight it was computed from. Knows files; does not know
layers.

One safetensors file per weight, q in float32, written whole or not at all, so a stopped run
goes on where it was, and two processes at once write the same bytes. A file's arrays are read
when they are first used: MLX has lazy arrays where others map memory.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_t2.errors import FileError
from mlx_t2.files import fill_whole

from .decompose import SIDES, Basis, Precision
from .singular_vectors import SingularVectors

_VERSION = "1"
"""Changes whenever the same weight would give another basis."""


@dataclass(frozen=True)
class BasisCache:
    """A folder of bases that were computed in one way."""

    folder: Path
    rank: int | None = None
    precision: Precision = "float64"

    def path(self, key: str) -> Path:
        """The file for the basis of the weight with that key."""
        way = [str(self.rank or "full")]
        way += [] if self.precision == "float64" else [self.precision]
        return self.folder / f"{key[:40]}-{'-'.join(way)}-{_VERSION}.safetensors"

    def read(self, key: str) -> Basis | None:
        """The basis, lazily; None where there is none or its file is damaged."""
        path = self.path(key)
        try:
            if path.stat().st_size != _expected_size(path):
                return None
            loaded: Any = mx.load(str(path), return_metadata=True)
            arrays, metadata = loaded
            side = SIDES[SIDES.index(metadata["side"])]
            return Basis(side, SingularVectors((arrays["q"],)), arrays["s"])
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError):
            return None

    def write(self, key: str, basis: Basis) -> None:
        """Write a float basis, whole or not at all; FileError where the disk refuses it."""
        arrays = {"q": basis.q.parts[0], "s": basis.s}
        side = {"side": basis.side}
        try:
            fill_whole(
                self.path(key), lambda path: mx.save_safetensors(str(path), arrays, side)
            )
        except FileError as error:
            raise FileError(f"{error}. Set MLX_T2_CACHE to another folder") from error

    def sweep(self) -> None:
        """Remove what killed processes have left half-written, `.{process}-{random}` files."""
        for left in self.folder.glob(".*-*.safetensors"):
            owner = left.name[1:].split("-")[0]
            if not (owner.isdigit() and _is_running(int(owner))):
                left.unlink(missing_ok=True)


def _expected_size(path: Path) -> int:
    """Bytes of the whole safetensors file, by its header: MLX notices a short one too late."""
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        if header > 1 << 20:
            return -1
        entries = json.loads(file.read(header))
    ends = [e["data_offsets"][1] for name, e in entries.items() if name != "__metadata__"]
    return 8 + header + max(ends)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
