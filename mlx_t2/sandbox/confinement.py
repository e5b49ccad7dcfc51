"""What holds the server and its children from the inside: limits, and on Linux more.

Runs inside the sandbox: standard library only.
"""

import ctypes
import math
import os
import resource
import signal
import sys
from pathlib import Path

_SET_DEATH_SIGNAL, _SET_SUBREAPER = 1, 36


class Confinement:
    """How the children of one server are held."""

    def __init__(self, level: str):
        self.level = level
        self.server = os.getpid()
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.own_bytes = _address_space()

    def sweep(self) -> None:
        """End what a program left running. Where it could not fork there is nothing."""
        if self.level != "limits" or sys.platform != "linux":
            return
        children = Path(f"/proc/self/task/{self.server}/children")
        while children.exists() and (left := children.read_text().split()):
            for pid in map(int, left):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def ready_server(level: str, readable: list[str]) -> Confinement:
    """Hold the server itself."""
    confinement = Confinement(level)
    if sys.platform == "linux":
        confinement.libc.prctl(_SET_SUBREAPER, 1, 0, 0, 0)
    return confinement


def ready_child(confinement: Confinement, cpu_s: float, memory_mb: int) -> None:
    """Hold this process, for good."""
    os.setsid()
    if sys.platform == "linux":
        confinement.libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != confinement.server:
            os._exit(1)
    limits = {
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CPU": math.ceil(cpu_s),
    }
    if confinement.level in ("limits", "seatbelt"):
        limits["RLIMIT_NPROC"] = 0
    if sys.platform != "darwin":
        limits["RLIMIT_AS"] = confinement.own_bytes + (memory_mb << 20)
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))


def _address_space() -> int:
    """The bytes that this process has mapped, which a limit has to add to."""
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[0]) if statm.exists() else 0
    return pages * resource.getpagesize()
