"""Where files that outlive a run are kept. Knows folders; does not know what is in them."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """For what can be computed again, like bases: $MLX_T2_CACHE or ~/.cache/mlx_t2."""
    return Path(os.environ.get("MLX_T2_CACHE") or "~/.cache/mlx_t2").expanduser()


def data_dir() -> Path:
    """For what exists nowhere else, like experts: $MLX_T2_HOME or ~/.local/share/mlx_t2."""
    return Path(os.environ.get("MLX_T2_HOME") or "~/.local/share/mlx_t2").expanduser()
