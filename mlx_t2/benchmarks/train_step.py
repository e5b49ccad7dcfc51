"""A step of training on the default model."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from mlx_t2.models import decompose, load
from mlx_t2.tasks import get_task
from mlx_t2.training import TrainConfig, train

from .measure import Row


def measure(runs: int = 5) -> Iterator[Row]:
    """Every row, one after another."""
    steps = runs + 2  # the first and the last, which evaluate, are not counted
    config = TrainConfig(
        steps=steps, prompts=8, group=8, eval_every=steps, validation=8, test=0
    )
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        reports = list(train(decompose(load()), get_task("code"), config, out))
    seconds = median(report.seconds for report in reports[1:-1])
    yield Row("8 problems × 8 completions", seconds, None, "")
