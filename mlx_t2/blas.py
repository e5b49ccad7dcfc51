"""OpenBLAS in front of the reference BLAS, on Linux, before MLX is imported.

MLX's Linux wheel links the reference BLAS and LAPACK; loading OpenBLAS with RTLD_GLOBAL first
makes the dynamic linker resolve `cblas_sgemm` and friends to it. macOS has Accelerate: nothing
is done there. Knows shared libraries; does not know MLX's Python side, and imports only the
standard library.

OpenBLAS's threads wait for one another in a loop: where another program has one of the cores, a
product takes several times as long on two threads as on one. So there are as many as there are
free cores.
"""

import contextlib
import ctypes
import os
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

_SITE = Path(sysconfig.get_path("purelib"))
_OPENBLAS = "ngsolve_openblas/libopenblas*.so"
"""The one build of OpenBLAS on PyPI whose symbols have their plain names and which has kernels
for every processor: others are compiled for one processor and kill the process on the rest.
"""


@dataclass(frozen=True)
class Blas:
    """Which BLAS MLX's CPU backend multiplies with."""

    name: str
    """`openblas`, `accelerate` or `reference`."""
    remedy: str | None
    """What to do when it is the slow one."""


def interpose() -> Blas:
    """Load OpenBLAS for the whole process, if this is Linux and MLX is not loaded yet."""
    if sys.platform == "darwin":
        return Blas("accelerate", None)
    if os.environ.get("MLX_T2_NO_OPENBLAS"):
        return Blas("reference", "unset MLX_T2_NO_OPENBLAS")
    if "mlx.core" in sys.modules:
        return Blas("reference", "import mlx_t2 before mlx.core")
    library = find_openblas()
    if library is None:
        return Blas("reference", "pip install ngsolve-openblas (for x86-64)")
    try:
        _load(library)
    except OSError as error:
        return Blas("reference", f"install libgfortran5 (the loader said: {error})")
    return Blas("openblas", None)


def find_openblas() -> Path | None:
    """Where OpenBLAS is, if it is installed."""
    return next(iter(sorted(_SITE.glob(_OPENBLAS))), None)


def _load(library: Path) -> None:
    """Open `library` for all later libraries, with MLX's own copy of libgfortran where the
    system has none.

    OpenBLAS asks for `libgfortran.so.5`. MLX's wheel bundles that library, but as
    `libgfortran-<hash>.so.5`, which is also the name in its header. So a copy is made with the
    plain name written over the one in the header, and loaded first; OpenBLAS then finds it.
    """
    try:
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        return
    except OSError as error:
        if "libgfortran" not in str(error):
            raise
        bundled = sorted((_SITE / "mlx_cpu.libs").glob("libgfortran-*.so.5*"))
        if not bundled:
            raise
    for quadmath in (_SITE / "mlx_cpu.libs").glob("libquadmath-*"):
        ctypes.CDLL(str(quadmath))
    with tempfile.TemporaryDirectory() as folder:
        renamed = Path(folder) / "libgfortran.so.5"
        name = bundled[0].name.encode()
        renamed.write_bytes(
            bundled[0]
            .read_bytes()
            .replace(name + b"\0", renamed.name.encode().ljust(len(name) + 1, b"\0"))
        )
        ctypes.CDLL(str(renamed))
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


@dataclass(frozen=True)
class Threads:
    """How many threads one product of matrices has."""

    count: int
    """0 where that is not ours to say."""
    why: str
    is_busy: bool = False
    """Other programs have some of the cores."""
    is_asked: bool = False
    """The environment says so."""


_ASKED = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
"""What OpenBLAS reads, in its order."""


def choose_threads(window_s: float = 0.05) -> Threads:
    """As many threads as cores are free, or what the environment says.

    window_s: how long other programs are watched [s]; the kernel counts hundredths.
    """
    if BLAS.name != "openblas":
        return Threads(0, f"{BLAS.name} decides by itself")
    if asked := next((name for name in _ASKED if _positive(os.environ.get(name, ""))), None):
        why = f"{asked}={os.environ[asked]}"
        return Threads(_positive(os.environ[asked]), why, is_asked=True)
    try:
        cores = os.sched_getaffinity(0)
        return count_threads(len(cores), _quota(), _measure_load(cores, window_s))
    except (OSError, ValueError, IndexError) as error:
        return Threads(os.cpu_count() or 1, f"all cores: their load is unknown ({error})")


def count_threads(cores: int, quota: float, busy: float) -> Threads:
    """As many as cores are free, and no more than the process may use.

    quota: cores' worth of time that the process may use.
    busy: cores' worth of time that others use.

    >>> [count_threads(8, quota, busy=2.4).count for quota in (8, 4, 0.5)]
    [6, 4, 1]
    """
    busy = min(busy, cores)
    free = cores - round(busy)
    why = f"{cores} cores, others use {busy:.1f}"
    why += f", {quota:g} may be used" if quota < cores else ""
    return Threads(int(max(1, min(free, quota))), why, is_busy=free < cores)


def _positive(text: str) -> int:
    """The number, or 0 for what OpenBLAS passes over."""
    return int(text) if text.strip().isdecimal() else 0


def _quota() -> float:
    """Cores' worth of time that a container may use; infinite without a limit."""
    try:
        words = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return int(words[0]) / int(words[1])
    except (OSError, ValueError, IndexError, ZeroDivisionError):  # none, or `max`
        return float("inf")


def _measure_load(cores: Set[int], window_s: float) -> float:
    """Cores' worth of time that other programs use of these cores."""
    start, own, used = time.monotonic(), time.process_time(), _used_seconds(cores)
    time.sleep(window_s)
    seconds = time.monotonic() - start
    own, used = time.process_time() - own, _used_seconds(cores) - used
    return max(0.0, used - own) / seconds


def _used_seconds(cores: Set[int]) -> float:
    """Seconds in which these cores worked, since the machine was started."""
    used = 0
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *counts = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in cores:
            user, nice, system, _, _, irq, softirq, steal = map(int, counts[:8])
            used += user + nice + system + irq + softirq + steal
    return used / os.sysconf("SC_CLK_TCK")


def current_threads() -> int:
    """How many threads OpenBLAS uses per call; 0 where it is not loaded."""
    if BLAS.name != "openblas":
        return 0
    return ctypes.CDLL(str(find_openblas())).openblas_get_num_threads()


def set_threads(count: int) -> None:
    """From now on, OpenBLAS uses `count` threads per call; nothing changes where it is not
    loaded, or where count is 0.
    """
    if count and BLAS.name == "openblas":
        ctypes.CDLL(str(find_openblas())).openblas_set_num_threads(count)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside the `with`, OpenBLAS uses `count` threads per call; nothing changes where it is
    not loaded, or where count is 0.
    """
    if BLAS.name != "openblas" or not count:
        yield
        return
    library = ctypes.CDLL(str(find_openblas()))
    before = library.openblas_get_num_threads()
    library.openblas_set_num_threads(count)
    try:
        yield
    finally:
        library.openblas_set_num_threads(before)


BLAS = interpose()
set_threads(choose_threads().count)
