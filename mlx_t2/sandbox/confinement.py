"""What holds the server and its children from the inside: limits everywhere, and on Linux, at
the levels `landlock` and `bwrap`, what the kernel refuses.

The server is kept from files, once. Each child adds its limits and gives up every right and all
system calls but those that computing takes, before the program's first line runs.

Runs inside the sandbox: standard library only.
"""

import ctypes
import math
import os
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from .landlock import restrict_files
from .seccomp import restrict_calls

_SET_DEATH_SIGNAL, _SET_SUBREAPER, _NO_NEW_RIGHTS = 1, 36, 38
_CAPABILITIES = 0x20080522
"""Version of the structure that names a process's rights."""


class Confinement:
    """How the server's children are held. Holds the server itself when it is made.

    Raises: OSError where this machine cannot hold them at this level.
    """

    def __init__(self, level: str, readable: Sequence[str]):
        """readable: all that programs may read, where files are held."""
        self.server = os.getpid()
        self.is_limits = level == "limits"
        self.is_filtered = level in ("landlock", "bwrap")
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.own_bytes = _address_space()
        if sys.platform == "linux":
            self._call("prctl", _SET_SUBREAPER, 1, 0, 0, 0)
            self._call("prctl", _NO_NEW_RIGHTS, 1, 0, 0, 0)
        if level == "landlock":
            restrict_files(self.libc, readable)

    def hold_child(self, cpu_s: float, memory_mb: int) -> None:
        """Hold this process, a child of the server, for good."""
        os.setsid()
        if sys.platform == "linux":
            self._call("prctl", _SET_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != self.server:
                raise OSError("the server has ended")
            self._call("capset", struct.pack("Ii", _CAPABILITIES, 0), bytes(24))
        seconds = max(1, math.ceil(cpu_s))
        _limit("RLIMIT_CPU", seconds, seconds + 1)  # who ignores the first is killed
        _limit("RLIMIT_CORE", 0)
        _limit("RLIMIT_FSIZE", 0)
        _limit("RLIMIT_NOFILE", 64)
        if sys.platform == "linux":
            _limit("RLIMIT_AS", self.own_bytes + (memory_mb << 20))
        if self.is_filtered:
            restrict_calls(self.libc)
        else:
            _limit("RLIMIT_NPROC", 0)  # does not bind root

    def sweep(self) -> None:
        """End what a program left running, where it could start anything."""
        children = Path(f"/proc/self/task/{self.server}/children")
        while self.is_limits and children.exists() and (left := children.read_text().split()):
            for pid in map(int, left):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def _call(self, name: str, *arguments: int | bytes) -> None:
        if getattr(self.libc, name)(*arguments) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")


def _limit(name: str, soft: int, hard: int | None = None) -> None:
    resource.setrlimit(getattr(resource, name), (soft, soft if hard is None else hard))


def _address_space() -> int:
    """The bytes that this process has mapped, which a limit has to add to."""
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[0]) if statm.exists() else 0
    return pages * resource.getpagesize()
