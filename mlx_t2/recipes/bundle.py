"""The bundled experts and their `results.json`, from nothing to shipped.

For each domain three seeds are trained to act on the answer alone, from the domain's own prompt
to the bare question. The seed that is best on bare validation problems is shipped; all three
are reported on test problems, bare and behind both prompts.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlx_t2.adaptation import Strategy, prepare_experts, prepare_strategy
from mlx_t2.evaluation import (
    GradedItem,
    by_kind,
    commonest_answer,
    evaluate,
    read_items,
    wilson,
    write_items,
)
from mlx_t2.experts import BUNDLED, Expert
from mlx_t2.files import write_whole
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.tasks import get_task
from mlx_t2.training import TrainConfig

from .once import train_once
from .parallel import run_in_parallel
from .provenance import describe_source
from .router import train_bundled

MODEL = "smollm2-135m"
SEEDS = (0, 1, 2)
_SHARED: dict[str, Any] = {
    "lr": 5e-3,
    "acts_on": "answer",
    "eval_every": 20,
    "validation": 120,
    "test": 0,
    "probe": False,
}
DOMAINS = {
    "largest": TrainConfig(steps=80, prompts=9, **_SHARED),
    "expression": TrainConfig(steps=72, prompts=10, **_SHARED),
    "kind": TrainConfig(steps=40, prompts=7, **_SHARED),
}
"""Domain → its settings, chosen on validation problems. Each is trained on
`<domain>-curriculum`.
"""
FORMS = ("", "-shared", "-bare")
"""Endings of the tasks that the experts are measured on."""
TEST = 400
"""Problems per test split."""


def build_bundle(runs: Path, workers: int = 2) -> Iterator[str]:
    """Train, choose, measure and ship; yields a line per finished job. After an interruption it
    continues from `runs`.
    """
    jobs = [(runs, domain, seed) for seed in SEEDS for domain in DOMAINS]
    yield from run_in_parallel(train_one, jobs, workers)
    chosen = {domain: _best_seed(runs, domain) for domain in DOMAINS}
    yield f"chosen on validation: {chosen}"
    made, bundle = _made(runs), BUNDLED / MODEL
    for folder in (made, bundle):
        folder.mkdir(parents=True, exist_ok=True)
    for domain, seed in chosen.items():
        expert = Expert.load(_folder(runs, domain, seed) / "expert.safetensors")
        expert.save(made / f"{domain}.safetensors")
    yield train_router(made)
    yield from run_in_parallel(answer_one, _measurements(runs), workers)
    results = collect(runs, chosen)
    for file in made.glob("*.safetensors"):
        write_whole(bundle / file.name, file.read_bytes())
    write_whole(bundle / "results.json", json.dumps(results, indent=1) + "\n")
    yield f"wrote {bundle / 'results.json'}"


def _made(runs: Path) -> Path:
    """These experts and their router, without others that are bundled."""
    return runs / "bundle"


def _folder(runs: Path, domain: str, seed: int) -> Path:
    return runs / f"{domain}-{seed}"


def _load_decomposed() -> SVFModel:
    return decompose(load(MODEL))


def train_one(runs: Path, domain: str, seed: int) -> str:
    """Train one expert, or finish its run."""
    config, task = replace(DOMAINS[domain], seed=seed), get_task(f"{domain}-curriculum")
    metrics = train_once(_folder(runs, domain, seed), _load_decomposed, task, config).metrics
    before, after = metrics["base_validation"], metrics["best_validation"]
    return f"{domain} seed {seed}: validation {before:.3f} → {after:.3f}"


def _best_seed(runs: Path, domain: str) -> int:
    def validation(seed: int) -> float:
        return Expert.load(_folder(runs, domain, seed) / "expert.safetensors").metrics[
            "best_validation"
        ]

    return max(SEEDS, key=validation)


def train_router(bundle: Path) -> str:
    """The linear head that the classifier and mixture strategies read."""
    return f"router: {train_bundled(load(MODEL), bundle).metrics}"


def _measurements(runs: Path) -> list[tuple]:
    """(runs, name, task) of every evaluation."""
    return [
        (runs, name, f"{domain}{form}")
        for domain in DOMAINS
        for form in FORMS
        for name in _names(domain)
    ]


def _names(domain: str) -> list[str]:
    """What answers the questions of a domain."""
    return ["none", *(f"{domain}-{seed}" for seed in SEEDS)]


def _strategy(model: SVFModel, runs: Path, name: str) -> Strategy:
    if name == "none":
        return prepare_strategy(model).finish()
    expert = Expert.load(runs / name / "expert.safetensors")
    return prepare_experts(model, {name: expert}, {name: 1.0}).finish()


def _items(runs: Path, name: str, task: str) -> Path:
    return runs / "answers" / f"{name}--{task}.jsonl"


def answer_one(runs: Path, name: str, task: str) -> str:
    """Answer a test split under one strategy, or read its answers."""
    path = _items(runs, name, task)
    if not path.exists():
        model = _load_decomposed()
        items = evaluate(model, get_task(task), _strategy(model, runs, name), limit=TEST)
        write_items(list(items), path)
    right = sum(item.is_right for item in read_items(path))
    return f"{name} on {task}: {right}/{TEST}"


def collect(runs: Path, chosen: dict[str, int]) -> dict[str, Any]:
    """`results.json`, from the answers on disk."""
    seeds = {
        f"{domain}{form}": {
            name: _count(list(read_items(_items(runs, name, f"{domain}{form}"))))
            for name in _names(domain)
        }
        for domain in DOMAINS
        for form in FORMS
    }
    return {
        "model": MODEL,
        **describe_source("make experts"),
        "test": TEST,
        "chosen": chosen,
        "seeds": seeds,
    }


def _count(items: list[GradedItem]) -> dict[str, Any]:
    right = sum(item.is_right for item in items)
    answer, share = commonest_answer(items)
    return {
        "correct": right,
        "n": len(items),
        "interval": [round(bound, 4) for bound in wilson(right, len(items))],
        "by_kind": {kind: [s.correct, s.n] for kind, s in by_kind(items).items()},
        "commonest_answer": [answer, round(share, 3)],
    }
