"""Run untrusted Python: in an interpreter of its own, with nothing of ours and not for long.

Three levels, of which the best that works on this machine is used:

- `seatbelt` (macOS `sandbox-exec`) and `bwrap` (Linux): no network, no files but the system's,
  the interpreter's and those of a private folder that is deleted afterwards.
- `rlimits`: limits and an empty environment only. Code can read the user's files. On Linux the
  network is cut where an unprivileged process may do that, without a promise.

Every level has a wall clock, a memory limit and an output cap, an empty environment and no site
packages, and starts no other process (root may, at `rlimits`; it ends with the program). macOS
refuses a limit on address space, so memory is watched from outside there.

What the program prints is data: a caller that waits for a verdict has to mark it with a random
nonce. Does not know what the code is for, nor which level a caller should insist on.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from mlx_t2.errors import SandboxError

Level = Literal["seatbelt", "bwrap", "rlimits"]

OUTPUT_CAP = 256 * 1024
"""Longest standard output, standard error, or file [bytes]."""

_POLL_S = 0.2

_PROGRAMS: dict[Level, str] = {"seatbelt": "sandbox-exec", "bwrap": "bwrap"}

_INTERPRETER = (
    os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    *("-I", "-S", "-B", "-X", "utf8", "-c"),
)
"""The real interpreter: in a virtual environment, the one it was made from."""


@dataclass(frozen=True)
class SandboxResult:
    """How a program ended."""

    stdout: str
    stderr: str
    returncode: int
    """Negative: ended by that signal."""
    is_timeout: bool
    """Ended by the wall clock."""
    level: Level


def run_python(
    source: str, *, stdin: str = "", timeout_s: float, memory_mb: int
) -> SandboxResult:
    """Run a program in the sandbox, whatever it does.

    Raises: SandboxError where the machine cannot start one, which says nothing of the program.
    """
    try:
        return _run(sandbox_level(), source, stdin, timeout_s, memory_mb)
    except OSError as error:
        raise SandboxError(
            f"sandbox: cannot start a program ({error}), expected free processes and room in "
            "the temporary folder"
        ) from error


@cache
def sandbox_level() -> Level:
    """The best level at which a program runs here: each is tried."""
    candidates: tuple[Level, ...] = ("seatbelt", "bwrap")
    for level in candidates:
        is_here = shutil.which(_PROGRAMS[level]) is not None
        if is_here and _run(level, "print(6 * 7)", "", 10, 512).stdout == "42\n":
            return level
    return "rlimits"


def _run(
    level: Level, source: str, stdin: str, timeout_s: float, memory_mb: int
) -> SandboxResult:
    with TemporaryDirectory(prefix="t2-", ignore_cleanup_errors=True) as folder:
        outside = Path(folder).resolve()
        room = outside / "room"
        room.mkdir()
        (room / "program.py").write_bytes(source.encode("utf-8", "replace"))
        (outside / "in").write_bytes(stdin.encode("utf-8", "replace"))
        limits = {"memory_mb": memory_mb, "cpu_s": int(timeout_s) + 1, "file": OUTPUT_CAP}
        limits["cut_network"] = level == "rlimits" and sys.platform == "linux"
        command = [*_wrapper(level, room), *_INTERPRETER, _LAUNCHER, json.dumps(limits)]
        process = _start(command, outside, room)
        is_timeout = _wait(process, timeout_s, memory_mb)
        stdout, stderr = _head(outside / "out"), _head(outside / "err")
        return SandboxResult(stdout, stderr, process.returncode, is_timeout, level)


def _start(command: list[str], outside: Path, room: Path) -> subprocess.Popen:
    """The output goes to files that the program cannot name and the size limit caps."""
    with (
        (outside / "in").open("rb") as stdin,
        (outside / "out").open("wb") as stdout,
        (outside / "err").open("wb") as stderr,
    ):
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=room,
            env={},
            start_new_session=True,
        )


def _wait(process: subprocess.Popen, timeout_s: float, memory_mb: int) -> bool:
    """Wait, then end the whole session of the process. True where the clock ended it."""
    deadline = time.monotonic() + timeout_s
    is_watched = sys.platform == "darwin"
    try:
        while (left := deadline - time.monotonic()) > 0:
            try:
                process.wait(min(left, _POLL_S) if is_watched else left)
                return False
            except subprocess.TimeoutExpired:
                if is_watched and _resident_mb(process.pid) > memory_mb:
                    return False
        return True
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
        process.wait()


def _resident_mb(pid: int) -> float:
    """Memory in use [MB]; 0 for a process that has ended."""
    shown = subprocess.run(["/bin/ps", "-o", "rss=", "-p", str(pid)], capture_output=True)
    return int(shown.stdout or 0) / 1024


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(OUTPUT_CAP).decode("utf-8", "replace")


def _wrapper(level: Level, room: Path) -> list[str]:
    """The part of the command in front of the interpreter."""
    if level == "rlimits":
        return []
    prefix, program = os.path.realpath(sys.base_prefix), str(shutil.which(_PROGRAMS[level]))
    if level == "seatbelt":
        return [program, "-D", f"PREFIX={prefix}", "-D", f"ROOM={room}", "-p", _SEATBELT]
    system = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache")
    binds = [arg for path in system for arg in ("--ro-bind-try", path, path)]
    return [
        *(program, "--unshare-all", "--die-with-parent", "--clearenv", *binds),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
        *("--ro-bind", prefix, prefix, "--bind", str(room), str(room)),
        *("--chdir", str(room), "--"),
    ]


_SEATBELT = """
(version 1)
(deny default)
(allow process-exec)
(allow signal (target self))
(allow sysctl-read)
(allow file-read-metadata)
(allow file-read* (literal "/") (subpath "/usr/lib") (subpath "/System")
    (subpath "/private/var/db/dyld") (subpath (param "PREFIX"))
    (literal "/dev/null") (literal "/dev/urandom") (literal "/dev/random"))
(allow file-write-data (literal "/dev/null"))
(allow file-read* file-write* (subpath (param "ROOM")))
(deny network*)
"""

_LAUNCHER = """
import json, os, resource, sys

def limit(name, value):
    try:
        resource.setrlimit(getattr(resource, name), (value, value))
    except (AttributeError, ValueError, OSError):
        pass

limits = json.loads(sys.argv[1])
with open("program.py", encoding="utf-8") as file:
    source = file.read()
if limits["cut_network"]:
    import ctypes
    ctypes.CDLL(None).unshare(0x10000000 | 0x40000000)
os.environ.clear()
sys.argv = ["program"]
limit("RLIMIT_CORE", 0)
limit("RLIMIT_CPU", limits["cpu_s"])
limit("RLIMIT_FSIZE", limits["file"])
limit("RLIMIT_NOFILE", 64)
limit("RLIMIT_NPROC", 0)
if sys.platform != "darwin":
    limit("RLIMIT_AS", limits["memory_mb"] << 20)
exec(compile(source, "program", "exec"), {"__name__": "__main__"})
"""
