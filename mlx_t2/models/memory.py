"""How much memory there is for a model, and MLX's limits on it. Knows no model."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlx.core as mx

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_SHARE = 0.8
"""A model's share of the physical memory where no device says how much it takes."""


def memory_bytes() -> int:
    """What a model may fill: the GPU's recommended working set on Metal, four fifths of its own
    memory on CUDA, else of the memory that this process can get.
    """
    device = mx.device_info()
    if recommended := device.get("max_recommended_working_set_size"):
        return int(recommended)
    if own := device.get("total_memory"):
        return int(_SHARE * int(own))
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        physical = min(physical, int(_CGROUP.read_text(encoding="utf-8")))
    return int(_SHARE * physical)


_CACHE_SHARE = 0.25
"""A cache's share: arrays that are freed may be used again, as shapes change between steps."""


@contextmanager
def limited_memory() -> Iterator[None]:
    """Inside the block MLX keeps no more than a quarter of the memory for reuse, and on Metal
    weights stay in wired memory, so that they are not paged out.

    Entered and left between steps only: limits must not change while work is under way.
    """
    recommended = mx.device_info().get("max_recommended_working_set_size")
    wired = mx.set_wired_limit(int(recommended)) if recommended else None
    cache = mx.set_cache_limit(int(_CACHE_SHARE * memory_bytes()))
    try:
        yield
    finally:
        mx.synchronize()
        mx.set_cache_limit(cache)
        if wired is not None:
            mx.set_wired_limit(wired)
