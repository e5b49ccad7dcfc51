"""One training step on the default model: its gradient pass, then all of it beside the
reference's and mlx-lm-lora's.
"""

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
from mlx_t2.training import StepReport, TrainConfig, train

from . import gradient_pass
from .measurement import DEFAULT_MODEL, Measurement, interleave

_NAME = "training step, 64 completions"
_REFERENCE = "the reference's algorithm in PyTorch, 64 problems × 1"
_GRPO = "mlx-lm-lora's GRPO, LoRA rank 8, 8 problems × 8"
_TARGET = "≥ 6"


def measure(runs: int, model: str = DEFAULT_MODEL) -> Iterator[Measurement]:
    """Each measurement as it is made; the other trainers know the default model alone."""
    yield from gradient_pass.measure(runs, model)
    if model != DEFAULT_MODEL:
        return
    yield from gradient_pass.measure_memory()
    yield from gradient_pass.measure_kinds(runs)
    yield _against_reference(runs)
    yield _against_grpo(runs)


def _against_reference(runs: int) -> Measurement:
    if importlib.util.find_spec("torch") is None:
        return _measure_ours_alone(_REFERENCE, runs, _TARGET)
    with _training(runs) as ours, _process("reference") as (start, step):
        taken: list[dict[str, float]] = []
        both = interleave(ours, lambda: taken.append(step()), runs)
    sampling, update = (median(s[part] for s in taken[1:]) for part in ("sampling", "update"))
    parts = f"sampling {sampling:.1f} s, update {update:.1f} s; SVD {start['svd']:.1f} s before"
    return Measurement(_NAME, *both, f"{_REFERENCE} ({parts})", target=_TARGET)


def _against_grpo(runs: int) -> Measurement:
    if importlib.util.find_spec("mlx_lm_lora") is None:
        return _measure_ours_alone(_GRPO, runs)
    steps = str(
        runs + 2
    )  # the last one, after which it answers test problems, is never requested
    with _training(runs) as ours, _process("grpo", "expression", steps, "8") as (_, step):
        return Measurement(_NAME, *interleave(ours, step, runs), _GRPO)


def _measure_ours_alone(against: str, runs: int, target: str = "") -> Measurement:
    with _training(runs) as ours:
        seconds = [ours().seconds for _ in range(runs + 1)]
    why = "not measured: pip install 'mlx-t2[reference]'"
    return Measurement(_NAME, median(seconds[1:]), None, f"{against} ({why})", target=target)


@contextmanager
def _training(runs: int) -> Iterator[Callable[[], StepReport]]:
    """One step of 8 problems × 8 completions, from sampling to checkpoint."""
    steps = runs + 2  # the last, which evaluates, is never taken
    config = TrainConfig(
        steps=steps, prompts=8, group=8, eval_every=steps, validation=8, test=0
    )
    with TemporaryDirectory() as folder:
        ours = train(decompose(load()), get_task("expression"), config, Path(folder) / "run")
        yield lambda: next(ours)


@contextmanager
def _process(
    module: str, *arguments: str
) -> Iterator[tuple[dict[str, float], Callable[[], dict[str, float]]]]:
    """The other side's training in its own process: its first line, and one step of it."""
    environment = os.environ | (
        {"MLX_T2_NO_OPENBLAS": "1"} if module == "reference" else {}
    )  # PyTorch has a BLAS of its own
    command = [sys.executable, "-m", f"mlx_t2.benchmarks.{module}", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, replies = process.stdin, process.stdout

        def step() -> dict[str, float]:
            requests.write("\n")
            requests.flush()
            return json.loads(replies.readline())

        try:
            yield json.loads(replies.readline()), step
        finally:
            process.terminate()
