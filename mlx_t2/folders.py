"""Where files that outlive a run are kept. Knows folders; does not know what is in them."""

import os
import tempfile
from pathlib import Path


def cache_dir() -> Path:
    """For what can be computed again, like bases: $MLX_T2_CACHE, mlx_t2 in $XDG_CACHE_HOME, or
    ~/.cache/mlx_t2.
    """
    return _choose("MLX_T2_CACHE", "XDG_CACHE_HOME", "~/.cache")


def data_dir() -> Path:
    """For what exists nowhere else, like experts: $MLX_T2_HOME, mlx_t2 in $XDG_DATA_HOME, or
    ~/.local/share/mlx_t2.
    """
    return _choose("MLX_T2_HOME", "XDG_DATA_HOME", "~/.local/share")


def _choose(own: str, shared: str, otherwise: str) -> Path:
    if os.environ.get(own):
        return _expand(os.environ[own])
    parent = os.environ.get(shared, "")
    if not os.path.isabs(parent):  # XDG's rule: relative ones are ignored
        parent = otherwise
    return _expand(parent) / "mlx_t2"


def _expand(path: str) -> Path:
    """With the home folder for ~; a user without one has a folder of temporary files."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"home-of-{os.getuid()}" / path.lstrip("~/")
