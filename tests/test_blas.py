"""Which BLAS the process multiplies with is settled when mlx_t2 is imported: each test has its
own process.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlx_t2 import blas

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="macOS multiplies with Accelerate: nothing is put in front"
)
OPENBLAS = "Blas(name='openblas', remedy=None)"
REPORT = "print(mlx_t2.blas.BLAS)"
# Processor time, one thread each: a busy machine changes waiting, not this.
BEST_OF_THREE = """
import time
import mlx_t2
import mlx.core as mx

mx.set_default_device(mx.cpu)
a = mx.random.normal((512, 512), dtype=mx.float32)
seconds = []
for _ in range(4):
    mx.eval(a)
    start = time.process_time()
    mx.eval(a @ a)
    seconds.append(time.process_time() - start)
print(min(seconds[1:]))
"""


def run(code: str, **environment: str) -> str:
    """What a fresh Python prints."""
    inherited = {k: v for k, v in os.environ.items() if k != "MLX_T2_NO_OPENBLAS"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What one process says of OpenBLAS: a line for each of three tests."""
    return run(f"""
import ctypes
import mlx_t2, mlx.core
from mlx_t2 import blas

{REPORT}
library = ctypes.CDLL(str(blas.find_openblas()))
library.openblas_get_config.restype = ctypes.c_char_p
print(library.openblas_get_config().decode())
count = library.openblas_get_num_threads
library.openblas_set_num_threads(2)  # not 1, whatever the machine has
counts = [count()]
with blas.threads(1):
    counts.append(count())
counts.append(count())
try:
    with blas.threads(1):
        raise ValueError
except ValueError:
    counts.append(count())
print(counts)
""").splitlines()


def test_importing_mlx_t2_first_makes_it_openblas(printed):
    assert printed[0] == OPENBLAS


def test_mlx_before_mlx_t2_is_the_reference_and_the_remedy_is_the_order():
    expected = "Blas(name='reference', remedy='import mlx_t2 before mlx.core')"
    assert run(f"import mlx.core, mlx_t2; {REPORT}") == expected


def test_switched_off_it_is_the_reference_without_threads_and_the_remedy_is_the_switch():
    expected = "Blas(name='reference', remedy='unset MLX_T2_NO_OPENBLAS')"
    code = f"import mlx_t2\nfrom mlx_t2 import blas\nwith blas.threads(1): {REPORT}"
    assert run(code, MLX_T2_NO_OPENBLAS="1") == expected


def test_matrix_products_of_mlx_are_at_least_five_times_faster():
    one = {"OPENBLAS_NUM_THREADS": "1"}  # the reference has one
    fast = float(run(BEST_OF_THREE, **one))
    slow = float(run(BEST_OF_THREE, MLX_T2_NO_OPENBLAS="1", **one))
    assert slow >= 5 * fast, f"{slow:.3f} s with the reference BLAS, {fast:.3f} s with OpenBLAS"


def test_it_chooses_its_kernels_for_the_processor_it_runs_on(printed):
    assert "DYNAMIC_ARCH" in printed[1]


def test_threads_restores_the_count_after_the_block_and_after_an_error_in_it(printed):
    assert printed[2] == "[2, 1, 2, 2]"


COUNT = "from mlx_t2 import blas; print(blas.current_threads(), blas.choose_threads().why)"


@pytest.mark.parametrize(
    "name",
    [blas._ASKED[0], *(pytest.param(n, marks=pytest.mark.slow) for n in blas._ASKED[1:])],
)
def test_the_number_of_threads_that_is_asked_for_is_taken(name):
    assert run(COUNT, **dict.fromkeys(blas._ASKED, "") | {name: "2"}) == f"2 {name}=2"


@pytest.mark.parametrize("asked", ["", "0", "-1", "many"])
def test_a_number_of_threads_that_openblas_passes_over_is_no_wish(asked, monkeypatch):
    monkeypatch.setattr(blas, "_measure_load", lambda *_: 0.0)
    for name in blas._ASKED:
        monkeypatch.setenv(name, asked)
    assert "cores, others use" in blas.choose_threads().why


def test_a_core_that_others_use_gets_no_thread(monkeypatch):
    """The kernel's counters go on by a second of work per core and second that is watched."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(blas.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    found = []
    for busy in (0.0, 0.3, 1.1, 2.6, 9.0):
        monkeypatch.setattr(blas, "_measure_load", lambda *_, busy=busy: busy)
        found.append(blas.choose_threads())
    assert [threads.count for threads in found] == [4, 4, 3, 1, 1]
    assert [threads.is_busy for threads in found] == [False, False, True, True, True]


def test_the_load_of_others_leaves_out_ones_own(monkeypatch):
    """Two cores at work, one of them by this process."""
    used, own = iter([10.0, 12.0]), iter([1.0, 2.0])
    clock = iter([5.0, 6.0])
    monkeypatch.setattr(blas, "_used_seconds", lambda _: next(used))
    monkeypatch.setattr(blas.time, "process_time", lambda: next(own))
    monkeypatch.setattr(blas.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(blas.time, "sleep", lambda _: None)
    assert blas._measure_load({0, 1}, 1.0) == 1.0


def test_a_load_that_cannot_be_read_is_taken_for_none(monkeypatch):
    def broken(*_):
        raise OSError("no /proc")

    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(blas, "_measure_load", broken)
    assert blas.choose_threads().count == os.cpu_count()
    assert "no /proc" in blas.choose_threads().why
