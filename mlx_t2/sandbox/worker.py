"""One fork server and the pipe to it, from our side: nothing that arrives is believed."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mlx_t2.errors import SandboxError

from .frames import HELD
from .levels import readable, wrap
from .program import Level, Outcome, Program, find_free_names
from .values import Value, decode, encode

RESTART_AFTER = 500
"""Programs that one server runs, at most."""
_START_S, _GRACE_S = 60, 20
"""Seconds that a loaded machine may take to start a server, and to answer after the limit."""
_MOST_BYTES = 17 << 20
"""Longest reply."""
_MODULES = (
    *("values", "frames", "landlock", "seccomp", "confinement", "child", "remote", "server"),
)
"""What the server consists of; each imports those before it."""

_INTERPRETER = (
    os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    # like -I, but PYTHONHASHSEED counts: an order of sets, so a verdict, can be repeated
    *("-P", "-s", "-S", "-B", "-W", "ignore", "-X", "utf8", "-c"),
)
"""The real interpreter: in a virtual environment, the one it was made from."""

_BOOT = """
import builtins, sys, types
sources, level, readable = {!r}
package = sys.modules["sandbox"] = types.ModuleType("sandbox")
package.__path__ = []
for name, source in sources.items():
    module = sys.modules["sandbox." + name] = types.ModuleType("sandbox." + name)
    module.__package__ = "sandbox"
    module.__dict__["__builtins__"] = dict(builtins.__dict__)  # not the ones a program patches
    exec(compile(source, name, "exec"), module.__dict__)
module.serve(level, readable)
"""


class ServerLost(Exception):
    """The server is gone or says nonsense: a program's doing, or the machine's."""


class Worker:
    """A process of its own that runs one program at a time."""

    def __init__(self, level: Level):
        self.level: Level = level
        self._process: subprocess.Popen | None = None
        self._opened = contextlib.ExitStack()
        self._count = 0

    def run(self, program: Program) -> Outcome:
        """What a program gives.

        Raises: ServerLost where nothing is known of the program; the next one has a new server.
            SandboxError where no server starts.
        """
        if self._process is None or self._count >= RESTART_AFTER:
            self.restart()
        self._count += 1
        request = (
            *(program.source, program.calls, program.tests),
            find_free_names(program.tests or ""),
            *(program.cpu_s, program.memory_mb, program.wall_s),
        )
        try:
            reply = self._ask(encode(request, max_bytes=_MOST_BYTES), program.wall_s + _GRACE_S)
            return _read_reply(reply, program, self.level)
        except (OSError, ValueError, TypeError) as error:
            self.close()
            raise ServerLost(str(error)) from error

    def restart(self) -> None:
        """Replace the server by a new one."""
        self.close()
        self._count = 0
        room = self._opened.enter_context(tempfile.TemporaryDirectory(prefix="t2-sandbox-"))
        errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with what is opened here
        self._errors = self._opened.enter_context(errors)
        sources = {name: _source(name) for name in _MODULES}
        boot = _BOOT.format((sources, self.level, readable()))
        try:
            self._process = subprocess.Popen(
                [*wrap(self.level, room, _INTERPRETER[0]), *_INTERPRETER, boot],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=room,
                env={"PYTHONHASHSEED": "0"},
                start_new_session=True,
                bufsize=0,
            )
            if decode(self._receive(time.monotonic() + _START_S)) != "ready":
                raise OSError("it is not ready")
        except (OSError, ValueError) as error:
            self.close()
            raise SandboxError(
                f"sandbox: no server starts at level {self.level!r} ({error}), expected free "
                "processes and room in the temporary folder"
            ) from error

    def close(self) -> None:
        """End the server and what it runs."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin
            assert process.stdout
            process.stdin.close()  # which ends it
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        self._opened.close()

    def _ask(self, request: bytes, timeout_s: float) -> bytes:
        assert self._process is not None
        assert self._process.stdin
        deadline = time.monotonic() + timeout_s
        left = memoryview(len(request).to_bytes(4, "big") + request)
        while left:
            left = left[os.write(self._process.stdin.fileno(), left) :]
        return self._receive(deadline)

    def _receive(self, deadline: float) -> bytes:
        size = int.from_bytes(self._read(4, deadline), "big")
        if size > _MOST_BYTES:
            raise ValueError("a reply that is too long")
        return self._read(size, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        parts = []
        while size:
            if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
                raise OSError("no reply in time")
            if not (part := os.read(descriptor, min(size, 1 << 16))):
                raise OSError(self._ending())
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _ending(self) -> str:
        """How the server ended, with the last line of what it said."""
        assert self._process is not None
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            code = None  # it has closed its output and goes on
        self._errors.seek(0)
        lines = self._errors.read(100_000).decode("utf-8", "replace").strip().splitlines()
        return (
            f"the server ended, exit {code}{': ' if lines else ''}{''.join(lines[-1:])[:200]}"
        )


def _source(name: str) -> str:
    return Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")


def _read_reply(reply: bytes, program: Program, level: Level) -> Outcome:
    """The outcome in a server's reply. Raises: ValueError, TypeError where it is nonsense."""
    written, ending, code, cpu_s = decode(reply)
    first, *frames = _split_frames(written) or [b""]
    if first != HELD and ending == "child":
        raise ValueError("a process ended before it was held")
    count = 1 if program.tests is not None else len(program.calls)
    values, fault = _read_values(frames[:count])
    is_timeout = False
    if fault is None and len(values) < count:
        is_spent = code in (-signal.SIGKILL, -signal.SIGXCPU) and cpu_s > program.cpu_s / 2
        is_timeout = ending == "wall" or (ending == "child" and is_spent)
        if ending == "wall":
            fault = f"out of time ({program.wall_s:g} s)"
        elif ending == "size":
            fault = "answered too much"
        elif is_timeout:
            fault = f"out of processor time ({program.cpu_s:g} s)"
        else:
            how = f"signal {-code}" if code < 0 else f"exit {code}"
            fault = f"ended before it had answered ({how})"
    return Outcome(tuple(values), fault, is_timeout, level)


def _split_frames(written: bytes) -> list[bytes]:
    """The whole frames at the beginning of what was written."""
    frames, at = [], 0
    while at + 4 <= len(written):
        end = at + 4 + int.from_bytes(written[at : at + 4], "big")
        if end > len(written):
            break
        frames.append(written[at + 4 : end])
        at = end
    return frames


def _read_values(frames: Sequence[bytes]) -> tuple[list[Value], str | None]:
    """Values until the first fault, and the fault, if one is told."""
    values: list[Value] = []
    for frame in frames:
        if frame[:1] != b"V":
            return values, show_line(frame[1:].decode("utf-8", "replace")) or "no reason given"
        try:
            values.append(decode(frame[1:]))
        except ValueError as error:
            return values, str(error)
    return values, None


def show_line(text: str) -> str:
    """A program's words as one line that is fit to be printed."""
    return "".join(c if c.isprintable() else " " for c in text[:250]).strip()
