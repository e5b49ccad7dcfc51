"""A step of training on the default model, its parts first, then against the reference's."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from mlx_t2.models import decompose, load
from mlx_t2.tasks import get_task
from mlx_t2.training import TrainConfig, train

from . import gradient_pass
from .measure import Row, interleaved

_NAME = "training step, 64 completions"
_AGAINST = "the reference's algorithm in PyTorch, 64 problems × 1"


def measure(runs: int = 5) -> Iterator[Row]:
    """Every row, one after another."""
    yield from gradient_pass.measure(runs)
    yield from _step(runs)


def _step(runs: int) -> Iterator[Row]:
    """8 problems × 8 from the sampling to the checkpoint, in turn with the reference's step."""
    steps = runs + 2  # the last, which evaluates, is never taken
    config = TrainConfig(
        steps=steps, prompts=8, group=8, eval_every=steps, validation=8, test=0
    )
    with TemporaryDirectory() as folder:
        ours = train(decompose(load()), get_task("code"), config, Path(folder) / "run")
        if importlib.util.find_spec("torch") is None:
            seconds = median([next(ours).seconds for _ in range(runs + 1)][1:])
            why = "not measured: pip install 'mlx_t2[reference]'"
            yield Row(_NAME, seconds, None, f"{_AGAINST} ({why})", target="≥ 6")
            return
        with _reference() as (start, step):
            taken: list[dict[str, float]] = []
            both = interleaved(lambda: next(ours), lambda: taken.append(step()), runs)
    sampling, update = (median(s[part] for s in taken[1:]) for part in ("sampling", "update"))
    of = f"sampling {sampling:.1f} s, update {update:.1f} s; SVD {start['svd']:.1f} s before"
    yield Row(_NAME, *both, f"{_AGAINST} ({of})", target="≥ 6")


@contextmanager
def _reference() -> Iterator[tuple[dict[str, float], Callable[[], dict[str, float]]]]:
    """The reference's training in its own process: what it said first, and a step of it."""
    environment = os.environ | {"MLX_T2_NO_OPENBLAS": "1"}  # PyTorch has a BLAS of its own
    command = [sys.executable, "-m", "mlx_t2.benchmarks.reference"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout

        def step() -> dict[str, float]:
            asked.write("\n")
            asked.flush()
            return json.loads(told.readline())

        try:
            yield json.loads(told.readline()), step
        finally:
            process.terminate()
