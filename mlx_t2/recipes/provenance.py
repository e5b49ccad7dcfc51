"""Where numbers come from: command, commit and machine. Knows git and the platform."""

import os
import platform
import subprocess
from pathlib import Path


def describe_source(command: str) -> dict[str, str]:
    """What stands beside numbers that `command` makes now."""
    machine = f"{os.cpu_count()} CPU cores, {platform.system()} {platform.machine()}"
    return {"command": command, "commit": _commit(), "machine": machine}


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
