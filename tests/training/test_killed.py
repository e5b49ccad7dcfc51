"""`kill -9` at any moment, then resume: the undisturbed run's files, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_task import CONFIG, StartHigh, files, toy_model

from mlx_t2.training import train

_PROGRAM = """
import sys; sys.path[:0] = sys.argv[2:]
import mlx_t2  # before MLX, as everywhere: another BLAS rounds otherwise
from pathlib import Path
from toy_task import CONFIG, StartHigh, toy_model
from mlx_t2.training import train
model, out = toy_model(), Path(sys.argv[1])
print("ready", flush=True)
for report in train(model, StartHigh(), CONFIG, out, resume=(out / "config.json").exists()):
    print(report.step, flush=True)
"""


def finished(out: Path) -> tuple:
    """Run in this process to the end, from wherever the folder is."""
    begun = (out / "config.json").exists()
    for _ in train(toy_model(), StartHigh(), CONFIG, out, resume=begun):
        pass
    return files(out)


def killed(out: Path, line: str, seconds: float) -> list[str]:
    """Run in another process, kill it so long after it has printed `line`; what it printed."""
    program = [sys.executable, "-c", _PROGRAM, str(out), str(Path(__file__).parents[1])]
    seen = []
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        for printed in process.stdout:
            seen.append(printed.strip())
            if seen[-1] == line:
                time.sleep(seconds)
                os.kill(process.pid, signal.SIGKILL)
    return seen


def test_a_run_killed_twice_ends_with_the_undisturbed_runs_files(tmp_path):
    whole = finished(tmp_path / "whole" / "run")
    out = tmp_path / "killed" / "run"
    assert "6" not in killed(out, "2", 0.02)
    assert "6" not in killed(out, "4", 0.02)
    assert finished(out) == whole


@pytest.mark.slow
def test_fifty_runs_killed_at_random_moments_end_with_the_undisturbed_runs_files(tmp_path):
    start = time.perf_counter()
    whole = finished(tmp_path / "whole" / "run")
    duration, rng, reached = time.perf_counter() - start, random.Random(0), set()
    for number in range(50):
        out = tmp_path / str(number) / "run"
        seen = killed(out, "ready", rng.uniform(0, duration))
        reached.add(len(seen) - 1)
        assert finished(out) == whole
    assert len(reached) >= 4  # kills fell into different steps, or nothing was tested
