"""A process beside this one for what may never end; it is killed and started again.

One process per subject, started when first asked, shared by all threads, ended with this one.
Does not know what it is asked.
"""

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mlx_t2.errors import SandboxError

_START_S = 120.0
"""Longest start [s]: a large library is imported, on a machine that may be busy."""
_SLACK = 10.0
"""Clock time over processor time before the process is killed from outside."""


class TookTooLong(Exception):
    """The question was not answered within its limit, or ended the process."""


class Killable:
    """Asks one question at a time."""

    def __init__(self, subject: str):
        """subject: what the process is started for, an argument of the worker's."""
        self._subject = subject
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()
        atexit.register(self._stop)

    def ask(self, request: dict[str, Any], limit_s: float) -> Any:
        """The answer to a request.

        limit_s: processor time that it may take [s].
        Raises: TookTooLong; ValueError where the request cannot be answered; SandboxError where
            the process does not start.
        """
        with self._lock:
            process = self._start()
            try:
                _write_line(process, {**request, "limit_s": limit_s})
                reply = _read_line(process, _SLACK * limit_s)
            except (OSError, EOFError) as error:
                self._stop()
                raise TookTooLong from error
        if "error" in reply:
            raise ValueError(reply["error"])
        return reply["answer"]

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner == os.getpid():
            return self._process
        script = Path(__file__).with_name("worker.py")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(script), self._subject],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._owner = os.getpid()
            _read_line(self._process, _START_S)
        except (OSError, EOFError) as error:
            self._stop()
            raise SandboxError(f"grading: no process for {self._subject} starts") from error
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _write_line(process: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()


def _read_line(process: subprocess.Popen[bytes], limit_s: float) -> dict[str, Any]:
    """The next line. Raises: EOFError where there is none within the limit."""
    assert process.stdout is not None
    end, read = time.monotonic() + limit_s, b""
    pipe = process.stdout.fileno()
    while not read.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
        part = os.read(pipe, 1 << 16) if ready else b""
        if not part:
            raise EOFError
        read += part
    return json.loads(read)
