"""Which level of protection this machine has, found by trying.

A good program has to give its values, and programs that read a file outside, open a socket and
signal this process have to be refused. A sandbox that is installed and does nothing, or lets
nothing run, is not used.
"""

import functools
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from mlx_t2.errors import SandboxError

from .levels import PROGRAMS
from .program import Level, Program
from .worker import ServerLost, Worker

GOOD = Program("def double(n):\n    return 2 * n", ("double(21)", "double([])"))
"""A program that works wherever any does; its values are 42 and []."""

_ESCAPES = """
import os, socket

def attempt(escape, *arguments):
    try:
        escape(*arguments)
    except OSError:
        return "refused"
    return "escaped"

def read(path):
    with open(path) as file:
        return file.read()
"""

_LEVELS: dict[str, tuple[Level, ...]] = {
    "darwin": ("seatbelt", "limits"),
    "linux": ("bwrap", "landlock", "limits"),
}
"""System → its levels, best first."""


@dataclass(frozen=True)
class Finding:
    """The level of a machine, and why it is no better one."""

    level: Level
    refused: dict[Level, str] = field(default_factory=dict)
    """Better levels → why this machine does not have them."""


def sandbox_level() -> Level:
    """The best level of protection that holds on this machine."""
    return examine_sandbox().level


@functools.cache
def examine_sandbox() -> Finding:
    """Try the levels, best first. Remembered for as long as this process runs.

    Raises: SandboxError where not even a good program runs.
    """
    refused: dict[Level, str] = {}
    for level in _LEVELS.get(sys.platform, ("limits",)):
        fault = try_level(level)
        if fault is None:
            return Finding(level, refused)
        refused[level] = fault
    raise SandboxError(
        f"sandbox: no program runs at any level ({refused['limits']}), expected the value of a "
        "program known to be good"
    )


def try_level(level: Level) -> str | None:
    """Why a level does not hold on this machine, in one line; None where it does."""
    program = PROGRAMS.get(level)
    if program and not shutil.which(program):
        return f"{program} is not installed"
    worker = Worker(level)
    try:
        outcome = worker.run(GOOD)
        if outcome.values != (42, []):
            return f"a good program gave {outcome.values!r} ({outcome.fault})"
        return None if level == "limits" else _escape(worker)
    except (ServerLost, SandboxError) as error:
        return str(error)
    finally:
        worker.close()


def _escape(worker: Worker) -> str | None:
    """Which escape succeeds at the level of a worker; None where all are refused."""
    with tempfile.TemporaryDirectory() as outside:
        canary = Path(outside) / "canary"
        canary.write_text("seen")
        escapes = {
            f"attempt(read, {str(canary)!r})": "reading a file outside",
            f"attempt(open, {str(canary) + '-new'!r}, 'x')": "making a file outside",
            "attempt(socket.create_connection, ('127.0.0.1', 9), 1)": "opening a connection",
            f"attempt(os.kill, {os.getpid()}, 0)": "signalling this process",
        }
        outcome = worker.run(Program(_ESCAPES, tuple(escapes)))
    for value, escape in zip(outcome.values, escapes.values(), strict=False):
        if value != "refused":
            return f"{escape} was not refused"
    return None if len(outcome.values) == len(escapes) else f"an escape ended: {outcome.fault}"
