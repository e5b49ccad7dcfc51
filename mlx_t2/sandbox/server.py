"""The fork server: one process inside the sandbox that forks a child for every program.

It has imported what programs usually import, so a child starts in a millisecond, and it never
runs a program itself, so no program finds what another one left. It reads requests from its
standard input and writes replies to its standard output; both sides use `values`.

    request   (source, calls, CPU seconds, wall seconds, memory in MB)
    reply     (what the child wrote, how it ended, exit code or signal, CPU seconds)

Runs inside the sandbox: standard library only. Ends when its input does, with the child.
"""

import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable

from .child import run_program, write_frame
from .confinement import Confinement
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


def serve(level: str, readable: list[str]) -> None:
    """Answer requests until the input ends.

    readable: folders that programs may read: the standard library's.
    """
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for name in PREIMPORTED:
        __import__(name)
    sys.modules["random"].seed(0)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    os.environ.clear()
    sys.argv, sys.orig_argv = ["program"], []
    for name in [name for name in sys.modules if name.split(".")[0] == "sandbox"]:
        del sys.modules[name]
    confinement = Confinement(level, readable)
    gc.collect()
    gc.freeze()
    write_frame(replies, encode("ready"))
    while request := read_frame(requests):
        write_frame(replies, encode(_run(decode(request), confinement, requests, null)))


def read_frame(descriptor: int) -> bytes:
    """The next frame; empty where the other side is gone."""
    size = int.from_bytes(_read_exactly(descriptor, 4), "big")
    return _read_exactly(descriptor, size)


def _read_exactly(descriptor: int, size: int) -> bytes:
    parts = []
    while size and (part := os.read(descriptor, min(size, 1 << 16))):
        parts.append(part)
        size -= len(part)
    return b"" if size else b"".join(parts)


def _run(request, confinement: Confinement, requests: int, null: int) -> tuple:
    source, calls, cpu_s, wall_s, memory_mb = request
    reader, writer = os.pipe()
    child = _fork(
        lambda answers: run_program(source, calls, answers),
        [null, null, null, writer],
        lambda: confinement.hold_child(cpu_s, memory_mb),
    )
    os.close(writer)
    try:
        written, ending = _collect(child, reader, requests, time.monotonic() + wall_s)
    finally:
        os.close(reader)
    _, status, usage = os.wait4(child, 0)
    confinement.sweep()
    code = os.waitstatus_to_exitcode(status)
    return written, ending, code, usage.ru_utime + usage.ru_stime


def _fork(run: Callable[[int], None], descriptors: list[int], hold: Callable[[], None]) -> int:
    """Start a child that has these descriptors, as 0, 1, 2, …, and no others.

    run: called with the last descriptor, once the child is held and has written `R` there.
    """
    child = os.fork()
    if child:
        return child
    try:
        high = [os.dup(descriptor) for descriptor in descriptors]
        for i, descriptor in enumerate(high):
            os.dup2(descriptor, i)
        os.closerange(len(high), os.sysconf("SC_OPEN_MAX"))
        hold()
        write_frame(len(high) - 1, b"R")
        run(len(high) - 1)
    finally:
        os._exit(0)


def _collect(child: int, reader: int, requests: int, deadline: float) -> tuple[bytes, str]:
    """What a child writes until it ends, which it has afterwards, and what ended it."""
    written, ending = bytearray(), "child"
    while ending == "child":
        left = deadline - time.monotonic()
        ready, _, _ = select.select([reader, requests], [], [], max(0, min(left, _POLL_S)))
        if requests in ready:  # nothing is asked while a program runs: the other side is gone
            os.kill(child, signal.SIGKILL)
            os._exit(0)
        if reader in ready:
            part = os.read(reader, 1 << 16)
            if not part:
                break
            written += part
            if len(written) > MOST_BYTES:
                ending = "size"
        elif left <= 0:
            ending = "wall"
        elif os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
    os.kill(child, signal.SIGKILL)
    return bytes(written), ending
