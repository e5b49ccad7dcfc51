"""How fast this machine multiplies and reads, measured once and kept. Knows no layers."""

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx

from mlx_t2.errors import FileError
from mlx_t2.files import write_whole
from mlx_t2.folders import cache_dir

_FILE = "speed.json"
_READ = (4096, 8192)
"""A matrix in float32 that no cache holds: 134 MB."""


@dataclass(frozen=True)
class Speed:
    """The two rates of a machine."""

    operations_per_second: float
    """Floating-point operations, in a float32 product of two matrices."""
    bytes_per_second: float
    """Bytes read, in a product of a vector and a matrix, which is bound by memory."""

    def seconds(self, operations: float, read: float) -> float:
        """How long the operations take, and then the bytes."""
        return operations / self.operations_per_second + read / self.bytes_per_second


OPERATIONS_ALONE = Speed(1.0, math.inf)
"""Counts operations: the same on every machine."""


@lru_cache(maxsize=1)
def find_speed() -> Speed:
    """The speed of this machine: as it was measured before, in the folder of caches; measured
    now where it was not, and kept. While something else is running nothing is measured:
    operations alone count, and the next process looks again.

    That is told by the load average of the last minute: not counting this process, less than a
    quarter of the CPUs. Once per process in any case: with rates that change, two requests of
    one run might choose different forms, whose roundings differ.
    """
    path = cache_dir() / _FILE
    if (kept := _read(path)) is not None:
        return kept
    if not is_quiet():
        return OPERATIONS_ALONE
    speed = measure_speed()
    with suppress(FileError):  # it is measured again the next time
        write_whole(path, json.dumps({"machine": _describe()} | asdict(speed)) + "\n")
    return speed


def is_quiet() -> bool:
    """Whether this process has the machine nearly to itself."""
    return os.getloadavg()[0] - 1 < (os.cpu_count() or 1) / 4


def measure_speed() -> Speed:
    """Both rates, from one product of matrices and one of a vector and a matrix."""
    a = mx.random.normal((1024, 1024), key=mx.random.key(0))
    large = mx.ones(_READ)
    vector = large[:1, : _READ[0]]
    mx.eval(a, large, vector)
    return Speed(
        2 * 1024**3 / _best_seconds(lambda: a @ a),
        large.nbytes / _best_seconds(lambda: vector @ large),
    )


def _best_seconds(product: Callable[[], mx.array], tries: int = 5) -> float:
    """The shortest time of several [s]: the machine may be doing something else, too."""
    mx.eval(product())  # not timed: it wakes the libraries
    seconds = []
    for _ in range(tries):
        start = time.perf_counter()
        mx.eval(product())
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _describe() -> list[str]:
    """What the rates depend on: another device, library or number of CPUs is measured anew."""
    name = str(mx.device_info().get("device_name", ""))
    return [str(mx.default_device()), name, version("mlx"), str(os.cpu_count())]


def _read(path: Path) -> Speed | None:
    """The rates that were kept; None where there are none of this machine."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        rates = [float(kept[name]) for name in Speed.__dataclass_fields__]
        is_own = kept["machine"] == _describe()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Speed(*rates) if is_own and all(0 < rate < math.inf for rate in rates) else None
