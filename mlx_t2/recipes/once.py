"""A recipe's training, which is done once: begun, gone on with, or read where it is finished.

Knows run folders; knows no recipe.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mlx_t2.experts import Expert
from mlx_t2.files import write_whole
from mlx_t2.models import SVFModel
from mlx_t2.tasks import Task
from mlx_t2.training import RunFolder, TrainConfig, train

from .provenance import describe_source


def train_once(
    out: Path, load_model: Callable[[], SVFModel], task: Task, config: TrainConfig
) -> Expert:
    """The expert of the training in `out`, which is finished first where it is not.

    Raises: CheckpointError where the folder has a run of other settings.
    """
    if not _is_finished(out, config):
        is_begun = (out / "config.json").exists()
        for _ in train(load_model(), task, config, out, resume=is_begun):
            pass
        write_whole(_mark(out), describe_source("")["commit"])
    return Expert.load(out / "expert.safetensors")


def read_commit(out: Path) -> str:
    """The commit that finished the training in `out`."""
    return _mark(out).read_text(encoding="utf-8")


def _mark(out: Path) -> Path:
    return out / "finished"


def _is_finished(out: Path, config: TrainConfig) -> bool:
    """Whether all steps of these settings are done."""
    if not _mark(out).exists():
        return False
    return RunFolder(out).read_same(asdict(config))["steps"] == config.steps
