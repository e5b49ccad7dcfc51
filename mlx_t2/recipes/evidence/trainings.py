"""The trainings of the evidence: settings, and one run of each, which may be stopped between
two steps.

Knows tasks and training; does not know what the experts are measured on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlx_t2.adaptation import calibrate_judge
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.tasks import CLS, Task, make_cls
from mlx_t2.training import TrainConfig, train

from ..lora import add_lora
from .sets import find_task, with_random_labels

LABELS = ("arc-easy", "gsm8k", "mbpp")
"""The experts that strategies choose from, each called as its task."""
BEST = "best"
"""In place of a seed: the one that is best on validation problems."""
SEEDS = (0, 1, 2)
"""Seeds of arc-easy; the others have the first alone."""


@dataclass(frozen=True)
class Training:
    """One way to train, for one seed or several."""

    task: Callable[[], Task]
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of TrainConfig beside those that all trainings have."""
    is_lora: bool = False
    """LoRA of rank 8 in place of scales."""

    def config(self, seed: int, steps: int | None = None) -> TrainConfig:
        """The settings of its run with this seed; fewer steps to try things out."""
        config = replace(_SHARED, **self.changes, seed=seed)
        if steps is None or steps >= config.steps:
            return config
        return replace(config, steps=steps, eval_every=steps, validation=4, prompts=4)


_SHARED = TrainConfig(lr=5e-3, acts_on="answer", test=0, probe=False)
_ARC = {"steps": 60, "prompts": 32, "eval_every": 20, "validation": 200}
_LORA: dict[str, Any] = _ARC | {"lr": 1e-3}
TRAININGS = {
    "arc-easy": Training(lambda: find_task("arc-easy"), _ARC),
    "arc-random": Training(lambda: with_random_labels(find_task("arc-easy")), _ARC),
    "arc-lora": Training(lambda: find_task("arc-easy"), _LORA, is_lora=True),
    "arc-lora-slow": Training(
        lambda: find_task("arc-easy"), _LORA | {"lr": 2e-4}, is_lora=True
    ),
    "arc-easy-all": Training(lambda: find_task("arc-easy"), _ARC | {"acts_on": "all"}),
    "arc-easy-letter": Training(lambda: find_task("arc-easy-letter"), _ARC | {"group": 4}),
    "gsm8k": Training(
        lambda: find_task("gsm8k"),
        {"steps": 13, "prompts": 16, "group": 8, "eval_every": 10, "validation": 128},
    ),
    "mbpp": Training(
        lambda: find_task("mbpp"),
        {"steps": 18, "prompts": 12, "group": 8, "eval_every": 10, "validation": 80},
    ),
    CLS: Training(
        lambda: make_cls({label: find_task(label) for label in LABELS}),
        {"steps": 40, "prompts": 32, "eval_every": 10, "validation": 200},
    ),
}
"""{name: a training}. `arc-random` and the two of LoRA are controls of `arc-easy`."""


def folder_of(runs: Path, name: str) -> Path:
    """The run folder of a training, which is named with its seed: arc-easy-0, arc-easy-best."""
    training, _, seed = name.rpartition("-")
    if seed == BEST:
        return folder_of(runs, f"{training}-{choose_seed(runs, training)}")
    return runs / "train" / name


def load_trained(runs: Path, name: str) -> Expert:
    """What a finished training made, called as the training."""
    expert = Expert.load(folder_of(runs, name) / "expert.safetensors")
    return replace(expert, name=name.rpartition("-")[0])


def choose_seed(runs: Path, training: str) -> int:
    """The seed that is best on validation problems, the first of several."""
    return max(
        SEEDS if training == "arc-easy" else SEEDS[:1],
        key=lambda seed: load_trained(runs, f"{training}-{seed}").metrics["best_validation"],
    )


def load_for(folder: str, name: str, seed: int = 0) -> SVFModel:
    """The model as this training needs it: with bases, or with layers of LoRA."""
    model, training = load(folder), TRAININGS[name]
    config = training.config(seed)
    if training.is_lora:
        return add_lora(model, config.targets, rank=8, seed=seed)
    return decompose(model, config.targets, config.rank)


def run_training(runs: Path, folder: str, name: str, steps: int | None) -> Iterator[None]:
    """Train, or go on; yields after each step.

    folder: of the base model.
    name: of the training, with its seed.
    """
    kind, _, seed = name.rpartition("-")
    training, out = TRAININGS[kind], folder_of(runs, name)
    model, task = load_for(folder, kind, int(seed)), training.task()
    config, is_begun = training.config(int(seed), steps), (out / "config.json").exists()
    for _ in train(model, task, config, out, resume=is_begun):
        yield
    if kind == CLS:
        judge = calibrate_judge(model, load_trained(runs, name), task)
        judge.save(library_folder(runs) / f"{CLS}.safetensors")


def library_folder(runs: Path) -> Path:
    """The folder of the experts that strategies choose from, and of their routers."""
    return runs / "experts"


def gather_experts(runs: Path) -> None:
    """Put the experts of LABELS there, each the best of its seeds."""
    folder = library_folder(runs)
    folder.mkdir(parents=True, exist_ok=True)
    for label in LABELS:
        load_trained(runs, f"{label}-{BEST}").save(folder / f"{label}.safetensors")
