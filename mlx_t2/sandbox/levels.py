"""How the server is started at each level of protection."""

import os
import sysconfig

from .program import Level

READABLE = sorted(
    {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
)
"""Folders that programs may read: the standard library's."""


def wrapper(level: Level) -> list[str]:
    """The part of the command in front of the interpreter."""
    return []


def sandbox_level() -> Level:
    """The best level of protection that this machine has."""
    return "limits"
