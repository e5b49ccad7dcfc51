"""The fork server: one process inside the sandbox that forks a child for every program.

It has imported what programs usually import, so a child starts in a millisecond, and it never
runs a program itself, so no program finds what another one left. It reads requests from its
standard input and writes replies to its standard output, as `values` in `frames`:

    request   (source, calls, tests or None, names that tests use,
               seconds of processor time, memory in MB, seconds on the clock)
    reply     (what was written, what ended it, exit code or minus signal, processor seconds)

Runs inside the sandbox: standard library only. Ends when its input does, with the children.
"""

import fcntl
import gc
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from .child import run_program
from .confinement import Confinement
from .frames import read_frame, write_frame
from .remote import run_against, serve_calls
from .values import decode, encode

PREIMPORTED = (
    *("array", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal"),
    *("enum", "fractions", "functools", "hashlib", "heapq", "inspect", "itertools", "json"),
    *("math", "operator", "queue", "random", "re", "statistics", "string", "textwrap"),
    *("threading", "typing", "unicodedata"),
)
MOST_BYTES = 16 << 20
"""Longest answer of one program, all frames together."""
_POLL_S = 0.1
"""How long a child may be dead before it is seen, where something else holds its pipe."""


def serve(level: str, readable: Sequence[str]) -> None:
    """Answer requests until the input ends.

    readable: all that programs may read, where files are held.
    """
    requests, replies = os.dup(0), os.dup(1)
    for name in PREIMPORTED:
        __import__(name)
    os.environ.clear()
    sys.argv, sys.orig_argv = ["program"], []
    for name in [name for name in sys.modules if name.split(".")[0] == "sandbox"]:
        del sys.modules[name]
    server = Server(Confinement(level, readable), requests)
    gc.collect()
    gc.freeze()
    write_frame(replies, encode("ready"))
    while request := read_frame(requests):
        write_frame(
            replies, encode(server.answer(decode(request)), max_bytes=MOST_BYTES + 1000)
        )


class Server:
    """What stays the same from program to program."""

    def __init__(self, confinement: Confinement, requests: int):
        self._confinement = confinement
        self._requests = requests
        self._null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(self._null, descriptor)

    def answer(self, request) -> tuple[bytes, str, int, float]:
        """Run what a request asks for, and end all that it started."""
        source, calls, tests, names, *limits, wall_s = request
        deadline = time.monotonic() + wall_s
        verdict, writer = os.pipe()
        if tests is None:
            children = [self._fork(partial(run_program, source, calls), [writer], *limits)]
        else:
            answers, program_writes = os.pipe()
            asked, tests_write = os.pipe()
            serving = partial(serve_calls, source, names)
            testing = partial(run_against, tests, names)
            children = [
                self._fork(serving, [asked, program_writes], *limits),
                self._fork(testing, [answers, tests_write, writer], *limits),
            ]
            for descriptor in (answers, program_writes, asked, tests_write):
                os.close(descriptor)
        os.close(writer)
        written, ending = self._collect(children, verdict, deadline)
        os.close(verdict)
        ends = [_end(child) for child in children]
        self._confinement.sweep()
        return written, ending, *max(ends, key=_weigh)

    def _fork(
        self, run: Callable[..., None], pipes: Sequence[int], cpu_s: float, memory_mb: int
    ) -> int:
        """Start a child that has nothing open but these pipes, and is held when it runs.

        run: called with the pipes' descriptors.
        """
        child = os.fork()
        if child:
            return child
        try:
            wanted = [self._null] * 3 + list(pipes)
            high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 100) for descriptor in wanted]
            for descriptor, copied in enumerate(high):
                os.dup2(copied, descriptor)
            os.closerange(len(high), 200)
            self._confinement.hold_child(cpu_s, memory_mb)
            random.seed(0)  # a fork draws new ones: the same numbers in every run instead
            run(*range(3, len(high)))
        finally:
            os._exit(0)

    def _collect(
        self, children: Sequence[int], verdict: int, deadline: float
    ) -> tuple[bytes, str]:
        """What the last child writes until it ends, and what ended it: child, size or wall."""
        written = bytearray()
        while (left := deadline - time.monotonic()) > 0:
            pipes = [verdict, self._requests]
            ready, _, _ = select.select(pipes, [], [], min(left, _POLL_S))
            if self._requests in ready:  # nothing is asked meanwhile: the other side is gone
                for child in children:
                    _end(child)
                os._exit(0)
            if verdict in ready:
                part = os.read(verdict, 1 << 16)
                written += part
                if not part:
                    return bytes(written), "child"
                if len(written) > MOST_BYTES:
                    return b"", "size"
            elif os.waitid(os.P_PID, children[-1], os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return bytes(written), "child"  # something it started holds the pipe
        return bytes(written), "wall"


def _end(child: int) -> tuple[int, float]:
    """End a child: its exit code or minus its signal, and its processor time [s]."""
    os.kill(child, signal.SIGKILL)  # one that ends already keeps its code
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def _weigh(end: tuple[int, float]) -> tuple[bool, bool]:
    """Which of two children tells why both ended: one out of time, one that failed."""
    code, _ = end
    return code == -signal.SIGXCPU, code not in (0, -signal.SIGKILL)
