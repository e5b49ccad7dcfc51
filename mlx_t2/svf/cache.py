"""Bases on disk, each keyed by the weight it was computed from. Knows files; knows no layers.

One safetensors file a weight, written beside its place and renamed into it, so a stopped run
goes on where it was and two processes at once write the same bytes.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_t2.errors import ConfigError

from .decompose import Basis

_RECIPE = "1"
"""Changes whenever the same weight would give another basis."""


@dataclass(frozen=True)
class BasisCache:
    """A folder of bases."""

    folder: Path

    def path(self, key: str, rank: int | None) -> Path:
        """Where the basis of the weight with that key lies, or would lie."""
        return self.folder / f"{key[:40]}-{rank or 'full'}-{_RECIPE}.safetensors"

    def read(self, key: str, rank: int | None) -> Basis | None:
        """The basis, its arrays read when first used; None for none or a damaged one."""
        path = self.path(key, rank)
        if not path.exists():
            return None
        try:
            loaded: Any = mx.load(str(path), return_metadata=True)
            arrays, metadata = loaded
            return Basis(metadata["side"], arrays["q"], arrays["s"])
        except (RuntimeError, KeyError):
            return None

    def write(self, key: str, rank: int | None, basis: Basis) -> None:
        """Write the basis atomically. Raises ConfigError where the folder cannot take it."""
        path = self.path(key, rank)
        # MLX insists on the suffix; the process number keeps two writers apart.
        temporary = path.with_name(f".{os.getpid()}-{path.name}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            mx.save_safetensors(
                str(temporary), {"q": basis.q, "s": basis.s}, {"side": basis.side}
            )
            os.replace(temporary, path)
        except (OSError, RuntimeError) as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise ConfigError(
                f"{self.folder}: cannot write a basis there ({error}), expected a writable "
                "folder with room. Set MLX_T2_CACHE to another"
            ) from error
