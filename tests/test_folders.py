"""Which folders are used: ours where it is named, else XDG's, else the usual one."""

import os
import tempfile
from pathlib import Path

import pytest

from mlx_t2.folders import cache_dir, data_dir


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in ("MLX_T2_CACHE", "MLX_T2_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("own", "shared", "cache", "data"),
    [
        (None, None, "~/.cache/mlx_t2", "~/.local/share/mlx_t2"),
        (None, "/x", "/x/mlx_t2", "/x/mlx_t2"),
        ("/own", "/x", "/own", "/own"),
        ("~/own", None, "~/own", "~/own"),
        ("", "/x", "/x/mlx_t2", "/x/mlx_t2"),
        (None, "", "~/.cache/mlx_t2", "~/.local/share/mlx_t2"),
        (None, "relative", "~/.cache/mlx_t2", "~/.local/share/mlx_t2"),
    ],
)
def test_our_variable_wins_over_xdg_over_the_usual(monkeypatch, own, shared, cache, data):
    for name, value in (("MLX_T2_CACHE", own), ("MLX_T2_HOME", own)):
        if value is not None:
            monkeypatch.setenv(name, value)
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        if shared is not None:
            monkeypatch.setenv(name, shared)
    assert cache_dir() == Path(cache).expanduser()
    assert data_dir() == Path(data).expanduser()


def test_a_user_without_a_home_has_temporary_folders(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert cache_dir().is_relative_to(tempfile.gettempdir())
    assert data_dir() != cache_dir()
