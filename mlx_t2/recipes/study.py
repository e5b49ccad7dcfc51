"""What the settings of a training are worth: one run per setting and seed.

Each run is chosen on validation problems and reported on test problems.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlx_t2.experts import Expert
from mlx_t2.files import write_whole
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.tasks import get_task
from mlx_t2.training import TrainConfig

from .lora import add_lora
from .once import train_once
from .parallel import run_in_parallel
from .provenance import describe_source
from .results_page import DATA, study_section

SEEDS = (0, 1, 2)
_PROBLEMS = {"largest": 9, "expression": 10, "kind": 7}
"""Problems per step: a multiple of the number of classes or positions of an answer."""


@dataclass(frozen=True)
class Setting:
    """One way to train."""

    name: str
    task: str
    changes: dict[str, Any]
    """Fields of TrainConfig that differ from the defaults."""
    is_lora: bool = False

    def config(self, seed: int) -> TrainConfig:
        """The settings of its run with this seed."""
        base = TrainConfig(prompts=_PROBLEMS[self.task], seed=seed)
        return replace(base, **self.changes)


def _paper(task: str, **changes: Any) -> dict[str, Any]:
    """The paper's settings, with as many completions per step as the others."""
    as_published = {
        "mode": "paper",
        "prompts": 8 * _PROBLEMS[task],
        "group": 1,
        "clip": 1e-3,
        "parametrisation": "sigmoid",
        "optimizer": "adamw",
        "schedule": "cosine",
    }
    return as_published | changes


def _on_the_answer(task: str, lr: float, targets: str = "mlp") -> Setting:
    """The prompt is read by the base, at training and at answering."""
    layers = ", all layers" if targets == "all" else ""
    changes = {"acts_on": "answer", "lr": lr, "targets": targets}
    return Setting(f"acts on the answer{layers}, lr {lr:g}", task, changes)


_BETTER, _OTHER = 5e-3, 2e-3
"""Learning rates for experts that act on the answer: the better one of each task by the
validation problems of seed 0.
"""

SETTINGS = (
    *(Setting("rloo (default)", task, {}) for task in _PROBLEMS),
    *(Setting("KL 0.05 (k2)", task, {"kl": 0.05}) for task in _PROBLEMS),
    *(_on_the_answer(task, _BETTER) for task in _PROBLEMS),
    Setting("warm-up over 5 steps", "largest", {"warmup": 5}),
    *(
        Setting(f"lr {lr:g}, {'' if balanced else 'un'}balanced", "largest", changes)
        for lr in (2e-3, 5e-3, 1e-2)
        for balanced in (True, False)
        if (changes := {"lr": lr, "balanced": balanced}) != {"lr": 2e-3, "balanced": True}
    ),
    *(
        Setting("paper, greedy", task, _paper(task, temperature=0.0))
        for task in ("largest", "kind")
    ),
    Setting("paper, sampled", "kind", _paper("kind")),
    Setting("reinforce, batch baseline", "kind", {"mode": "reinforce"}),
    *(_on_the_answer(task, _OTHER) for task in _PROBLEMS),
    *(_on_the_answer(task, _OTHER, "all") for task in _PROBLEMS),
    Setting("attention", "kind", {"targets": "attention"}),
    Setting("all layers", "kind", {"targets": "all"}),
    Setting("rank 64", "kind", {"rank": 64}),
    *(
        Setting(f"8 bands, lr {lr:g}", "kind", {"parametrisation": "bands", "lr": lr})
        for lr in (2e-3, 1e-2)
    ),
    *(
        Setting(f"LoRA rank 8, lr {lr:g}", "kind", {"lr": lr}, is_lora=True)
        for lr in (2e-4, 1e-3)
    ),
)
_FIRST = 10
"""How many settings are trained on all seeds before the others begin."""


def run_study(runs: Path, workers: int = 2) -> Iterator[str]:
    """Train every setting on every seed; yields a line per finished run, and the table at the
    end. After an interruption it continues from `runs`.
    """
    numbers = range(len(SETTINGS))
    jobs = [(runs, n, seed) for n in numbers[:_FIRST] for seed in SEEDS]
    jobs += [(runs, n, seed) for seed in SEEDS for n in numbers[_FIRST:]]
    yield from run_in_parallel(train_one, jobs, workers)
    found = collect(runs)
    write_whole(DATA / "study.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    yield study_section(found)


def _folder(runs: Path, setting: Setting, seed: int) -> Path:
    return runs / f"{setting.name}, {setting.task}, {seed}".replace(" ", "-").replace(",", "")


def train_one(runs: Path, number: int, seed: int) -> str:
    """Train one run, or finish it."""
    setting = SETTINGS[number]
    out, config = _folder(runs, setting, seed), setting.config(seed)
    task = get_task(setting.task)
    metrics = train_once(out, lambda: _load_prepared(setting, config), task, config).metrics
    return f"{out.name}: {metrics['base_accuracy']:.3f} → {metrics['final_accuracy']:.3f}"


def _load_prepared(setting: Setting, config: TrainConfig) -> SVFModel:
    model = load("smollm2-135m")
    if setting.is_lora:
        return add_lora(model, config.targets, rank=8, seed=config.seed)
    return decompose(model, config.targets, config.rank)


def collect(runs: Path) -> dict[str, Any]:
    """`study.json`, from the runs on disk."""
    source = describe_source("make study")
    settings = [{"name": s.name, "task": s.task, "seeds": _outcomes(runs, s)} for s in SETTINGS]
    return source | {"settings": [s | {"commit": source["commit"]} for s in settings]}


def _outcomes(runs: Path, setting: Setting) -> list[dict[str, Any]]:
    return [{"seed": s} | _outcome(_folder(runs, setting, s)) for s in SEEDS]


def _outcome(out: Path) -> dict[str, Any]:
    expert = Expert.load(out / "expert.safetensors")
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps, metrics = [json.loads(line) for line in lines], expert.metrics
    aim = metrics["base_validation"] + 0.3
    reached = [s["step"] for s in steps if (s["validation"] or 0) >= aim]
    return {
        "base": metrics["base_accuracy"],
        "correct": round(metrics["final_accuracy"] * metrics["n_eval"]),
        "n": metrics["n_eval"],
        "steps_to_30": reached[0] if reached else None,
        "seconds": sum(s["seconds"] for s in steps),
        "skipped": metrics["skipped_steps"],
        "collapsed": sum("collapse?" in (s["warning"] or "") for s in steps),
        "numbers": sum(z.size for z in expert.scales.values()),
    }
