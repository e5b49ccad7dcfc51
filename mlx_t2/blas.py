"""OpenBLAS in front of the reference BLAS, on Linux, before MLX is imported.

MLX's Linux wheel links the reference BLAS and LAPACK; loading OpenBLAS with RTLD_GLOBAL first
makes the dynamic linker resolve `cblas_sgemm` and friends to it. macOS has Accelerate: nothing
is done there. Knows shared libraries; does not know MLX's Python side, and imports only the
standard library.
"""

import contextlib
import ctypes
import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
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
    library = installed()
    if library is None:
        return Blas("reference", "pip install ngsolve-openblas (for x86-64)")
    try:
        _load(library)
    except OSError as error:
        return Blas("reference", f"install libgfortran5 (the loader said: {error})")
    return Blas("openblas", None)


def installed() -> Path | None:
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


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside the `with`, OpenBLAS uses `count` threads per call; nothing changes where it is
    not loaded.
    """
    if BLAS.name != "openblas":
        yield
        return
    library = ctypes.CDLL(str(installed()))
    before = library.openblas_get_num_threads()
    library.openblas_set_num_threads(count)
    try:
        yield
    finally:
        library.openblas_set_num_threads(before)


BLAS = interpose()
