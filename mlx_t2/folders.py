"""Where files that outlive a run are kept. Knows names of folders, not what goes into them."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """What can be computed again, like bases: $MLX_T2_CACHE or ~/.cache/mlx_t2."""
    return Path(os.environ.get("MLX_T2_CACHE") or "~/.cache/mlx_t2").expanduser()


def data_dir() -> Path:
    """What exists nowhere else, like own experts: $MLX_T2_HOME or ~/.local/share/mlx_t2."""
    return Path(os.environ.get("MLX_T2_HOME") or "~/.local/share/mlx_t2").expanduser()
