"""What the choices in training are worth: the runs behind the README's comparison, and its
table.

Every setting is trained on three seeds, chosen on validation problems, reported on test
problems. Stopped anywhere, it goes on from its folder.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from mlx_t2.evaluation import wilson
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.tasks import get_task
from mlx_t2.training import TrainConfig, train

from .bundle import in_parallel
from .lora import with_lora

SEEDS = (0, 1, 2)
_PROBLEMS = {"largest": 9, "expression": 10, "kind": 7}
"""A step's, so that kinds of answers come out even."""


@dataclass(frozen=True)
class Setting:
    """One way to train."""

    name: str
    task: str
    changes: dict[str, Any]
    """What differs from the defaults."""
    is_lora: bool = False

    def config(self, seed: int) -> TrainConfig:
        """The settings of one run of it."""
        base = TrainConfig(prompts=_PROBLEMS[self.task], seed=seed)
        return replace(base, **self.changes)


def _paper(task: str, **changes: Any) -> dict[str, Any]:
    """The paper's settings at as many completions a step as the others have."""
    letter = {
        "mode": "paper",
        "prompts": 8 * _PROBLEMS[task],
        "group": 1,
        "clip": 1e-3,
        "parametrisation": "sigmoid",
        "optimizer": "adamw",
        "schedule": "cosine",
    }
    return letter | changes


SETTINGS = (
    *(Setting("rloo (default)", task, {}) for task in _PROBLEMS),
    *(Setting("KL 0.05 (k2)", task, {"kl": 0.05}) for task in _PROBLEMS),
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
_FIRST = 7
"""Settings whose seeds are all trained before the others begin."""


def study(runs: Path, workers: int = 2) -> Iterator[str]:
    """Train every setting on every seed; yields what has been done, at last the table."""
    numbers = range(len(SETTINGS))
    jobs = [(runs, n, seed) for n in numbers[:_FIRST] for seed in SEEDS]
    jobs += [(runs, n, seed) for seed in SEEDS for n in numbers[_FIRST:]]
    yield from in_parallel(train_one, jobs, workers)
    rows = [row(runs, setting) for setting in SETTINGS]
    path = runs / "study.json"
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    yield as_table(rows)


def _folder(runs: Path, setting: Setting, seed: int) -> Path:
    return runs / f"{setting.name}, {setting.task}, {seed}".replace(" ", "-").replace(",", "")


def train_one(runs: Path, number: int, seed: int) -> str:
    """Train one run, or finish the one that was begun."""
    setting = SETTINGS[number]
    out, config = _folder(runs, setting, seed), setting.config(seed)
    finished = out / "finished"
    if not finished.exists():
        model = _prepared(setting, config)
        begun = (out / "config.json").exists()
        for _ in train(model, get_task(setting.task), config, out, resume=begun):
            pass
        finished.touch()
    metrics = Expert.load(out / "expert.safetensors").metrics
    return f"{out.name}: {metrics['base_accuracy']:.3f} → {metrics['final_accuracy']:.3f}"


def _prepared(setting: Setting, config: TrainConfig) -> SVFModel:
    model = load("smollm2-135m")
    if setting.is_lora:
        return with_lora(model, config.targets, rank=8, seed=config.seed)
    return decompose(model, config.targets, config.rank)


def row(runs: Path, setting: Setting) -> dict[str, Any]:
    """What a setting came to, seed by seed."""
    found = [_outcome(_folder(runs, setting, seed)) for seed in SEEDS]
    return {"name": setting.name, "task": setting.task, "seeds": found}


def _outcome(out: Path) -> dict[str, Any]:
    expert = Expert.load(out / "expert.safetensors")
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps, metrics = [json.loads(line) for line in lines], expert.metrics
    wanted = metrics["base_validation"] + 0.3
    reached = [s["step"] for s in steps if (s["validation"] or 0) >= wanted]
    right = round(metrics["final_accuracy"] * metrics["n_eval"])
    return {
        "base": metrics["base_accuracy"],
        "final": metrics["final_accuracy"],
        "interval": wilson(right, metrics["n_eval"]),
        "n": metrics["n_eval"],
        "steps_to_30": reached[0] if reached else None,
        "seconds": sum(s["seconds"] for s in steps),
        "skipped": metrics["skipped_steps"],
        "collapsed": sum("collapse?" in (s["warning"] or "") for s in steps),
        "numbers": sum(z.size for z in expert.scales.values()),
    }


def as_table(rows: list[dict[str, Any]]) -> str:
    """The README's table."""
    lines = [
        "| task | setting | accuracy by seed | mean | steps to +30 | s a run |",
        "|---|---|---|---|---|---|",
    ]
    for found in rows:
        seeds = found["seeds"]
        low, high = (f([s["interval"][i] for s in seeds]) for i, f in enumerate((min, max)))
        accuracy = ", ".join(f"{100 * s['final']:.1f}" for s in seeds)
        reached = ", ".join(str(s["steps_to_30"] or "–") for s in seeds)
        lines.append(
            f"| {found['task']} | {found['name']} | {accuracy} ({100 * low:.0f}-"
            f"{100 * high:.0f}) | {100 * fmean(s['final'] for s in seeds):.1f} % | {reached} "
            f"| {fmean(s['seconds'] for s in seeds):.0f} |"
        )
    return "\n".join(lines)
