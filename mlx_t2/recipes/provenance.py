"""Where numbers come from: command, commit and machine. Knows git, the platform and what MLX
computes on.
"""

import os
import platform
import subprocess
from pathlib import Path

import mlx.core as mx


def describe_source(command: str) -> dict[str, str]:
    """What stands beside numbers that `command` makes now."""
    return {"command": command, "commit": _commit(), "machine": describe_machine()}


def describe_machine() -> str:
    """Its CPUs and system, and the GPU that MLX uses, where it does."""
    cpus = f"{os.cpu_count()} CPU cores, {platform.system()} {platform.machine()}"
    if mx.default_device() == mx.Device(mx.cpu):
        return cpus
    return f"{mx.device_info().get('device_name', 'a GPU')}, {cpus}"


def _commit() -> str:
    """The short hash of the clone this file is in, `+` where it has changes; `none` outside."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return commit.stdout.strip() + ("+" if changes.stdout else "")
