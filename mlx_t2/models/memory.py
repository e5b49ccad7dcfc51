"""How much memory there is for a model, and MLX's limits on it. Knows no model."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlx.core as mx

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_SHARE = 0.8
"""Of the physical memory where no device says how much it takes: other programs want some."""


def memory_bytes() -> int:
    """What a model may fill: the GPU's recommended working set on Metal, else four fifths of
    the memory that this process can get.
    """
    recommended = mx.device_info().get("max_recommended_working_set_size")
    if recommended:
        return int(recommended)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        physical = min(physical, int(_CGROUP.read_text(encoding="utf-8")))
    return int(_SHARE * physical)


@contextmanager
def wired_memory() -> Iterator[None]:
    """On Metal, keep weights in wired memory inside the block, so that they are not paged out;
    elsewhere nothing.

    Entered and left between steps only: the limit must not change while work is under way.
    """
    recommended = mx.device_info().get("max_recommended_working_set_size")
    if not recommended:
        yield
        return
    before = mx.set_wired_limit(int(recommended))
    try:
        yield
    finally:
        mx.synchronize()
        mx.set_wired_limit(before)
