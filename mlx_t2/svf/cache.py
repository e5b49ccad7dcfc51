"""Bases on disk, each keyed by the weight it was computed from. Knows files; knows no layers.

One safetensors file a weight, written beside its place and renamed into it, so a stopped run
goes on where it was and two processes at once write the same bytes. A file is read when its
arrays are first used, not before: MLX has lazy arrays where others map memory.
"""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_t2.errors import ConfigError

from .decompose import SIDES, Basis, Precision
from .vectors import Vectors

_RECIPE = "1"
"""Changes whenever the same weight would give another basis."""

_PARTS = ("q", "q_scales", "q_biases")


@dataclass(frozen=True)
class BasisCache:
    """A folder of bases that were computed in one way."""

    folder: Path
    rank: int | None = None
    precision: Precision = "float64"
    bits: int = 32

    def path(self, key: str) -> Path:
        """Where the basis of the weight with that key lies, or would lie."""
        way = [str(self.rank or "full"), *([] if self.bits == 32 else [f"{self.bits}bit"])]
        way += [] if self.precision == "float64" else [self.precision]
        return self.folder / f"{key[:40]}-{'-'.join(way)}-{_RECIPE}.safetensors"

    def read(self, key: str) -> Basis | None:
        """The basis, its arrays read when first used; None for none or a damaged one."""
        path = self.path(key)
        try:
            if path.stat().st_size != _expected_size(path):
                return None
            loaded: Any = mx.load(str(path), return_metadata=True)
            arrays, metadata = loaded
            parts = [arrays["q"], *(arrays[name] for name in _PARTS[1:] if name in arrays)]
            side = SIDES[SIDES.index(metadata["side"])]
            return Basis(side, Vectors(tuple(parts)), arrays["s"])
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError):
            return None

    def write(self, key: str, basis: Basis) -> None:
        """Write the basis atomically. Raises ConfigError where the folder cannot take it."""
        path = self.path(key)
        # MLX insists on the suffix; the process number keeps two writers apart.
        temporary = path.with_name(f".{os.getpid()}-{path.name}")
        arrays = dict(zip(_PARTS, basis.q.parts, strict=False)) | {"s": basis.s}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            mx.save_safetensors(str(temporary), arrays, {"side": basis.side})
            os.replace(temporary, path)
        except (OSError, RuntimeError) as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise ConfigError(
                f"{self.folder}: cannot write a basis there ({error}), expected a writable "
                "folder with room. Set MLX_T2_CACHE to another"
            ) from error

    def sweep(self) -> None:
        """Remove what killed processes have left half-written."""
        for left in self.folder.glob(".*-*.safetensors"):
            owner = left.name[1:].split("-")[0]
            if not (owner.isdigit() and _is_running(int(owner))):
                left.unlink(missing_ok=True)


def _expected_size(path: Path) -> int:
    """Of a whole safetensors file, by its header: MLX would notice a short one too late."""
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
