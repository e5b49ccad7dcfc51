"""What becomes of experts when there are many: twelve of them, summed, averaged and routed.

An expert is trained for each sub-domain. The first k sub-domains, for growing k, are then
answered under the sum and under the average of their k experts, beside the one that a router of
all twelve chooses. Nothing is chosen on the test problems.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from mlx_t2.adaptation import Chosen, Fixed, Strategy
from mlx_t2.evaluation import GradedItem, evaluate, read_items, wilson, write_items
from mlx_t2.experts import Expert, cosines
from mlx_t2.files import write_whole
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.routing import HeadRouter, router_examples
from mlx_t2.tasks import DatasetTask, Task
from mlx_t2.training import TrainConfig

from .once import train_once
from .parallel import run_in_parallel
from .provenance import describe_source
from .results_page import DATA
from .subdomain_tasks import family_of, make_subdomains

MODEL = "smollm2-135m"
CONFIG = TrainConfig(
    steps=20,
    prompts=8,
    lr=2e-3,
    acts_on="answer",
    eval_every=10,
    validation=40,
    test=0,
    probe=False,
)
SIZES = (1, 2, 3, 4, 6, 8, 12)
"""How many experts are put together."""
TEST = 50
"""Test problems of each sub-domain."""
_ALONE = ("base", "own expert", "routed")
"""Answered once for each sub-domain: they do not depend on how many others there are."""
_TOGETHER = ("sum", "average")


def measure_subdomains(runs: Path, workers: int = 2) -> Iterator[str]:
    """Train the twelve, answer, and write `subdomains.json`; yields a line per finished job.
    After an interruption it continues from `runs`.
    """
    names = [task.name for task in make_subdomains()]
    yield from run_in_parallel(train_one, [(runs, name) for name in names], workers)
    bench = _Bench(runs)
    for way, k, name in _jobs(names):
        items = bench.answer(way, k, name)
        yield f"{way} of {k} on {name}: {sum(i.is_right for i in items)}/{len(items)}"
    found = bench.collect() | describe_source("python -m mlx_t2_cli.recipes subdomains")
    write_whole(DATA / "subdomains.json", json.dumps(found, indent=1) + "\n")
    yield f"wrote {DATA / 'subdomains.json'}"


def train_one(runs: Path, name: str) -> str:
    """Train the expert of a sub-domain, or finish its run."""
    (task,) = (task for task in make_subdomains() if task.name == name)
    expert = train_once(runs / name, lambda: decompose(load(MODEL)), task, settle(task))
    metrics = expert.metrics
    before, after = metrics["base_validation"], metrics["best_validation"]
    return f"{name}: validation {before:.3f} → {after:.3f}"


def settle(task: Task) -> TrainConfig:
    """The settings, on no more validation problems than there are."""
    return replace(CONFIG, validation=task.available("validation", CONFIG.validation))


def _jobs(names: Sequence[str]) -> list[tuple[str, int, str]]:
    """(way, number of experts, sub-domain) of every set of answers."""
    alone = [(way, len(names), name) for way in _ALONE for name in names]
    return alone + [(way, k, name) for way in _TOGETHER for k in SIZES for name in names[:k]]


class _Bench:
    """The model, the experts and the sub-domains."""

    def __init__(self, runs: Path):
        self.runs = runs
        self.tasks: dict[str, DatasetTask] = {task.name: task for task in make_subdomains()}
        self.experts = {
            name: Expert.load(runs / name / "expert.safetensors") for name in self.tasks
        }
        self.model: SVFModel = decompose(load(MODEL))

    def answer(self, way: str, k: int, name: str) -> list[GradedItem]:
        """A sub-domain's test problems, or the answers on disk."""
        path = self.runs / "answers" / f"{way.replace(' ', '-')}-{k}--{name}.jsonl"
        if not path.exists():
            strategy = self._strategy(way, k, name)
            write_items(
                list(evaluate(self.model, self.tasks[name], strategy, limit=TEST)), path
            )
        return read_items(path)

    def _strategy(self, way: str, k: int, name: str) -> Strategy:
        first = {label: self.experts[label] for label in list(self.experts)[:k]}
        match way:
            case "base":
                return Fixed.base()
            case "own expert":
                return Fixed.mixture(self.experts, {name: 1.0})
            case "routed":
                return Chosen("routed", self._router, self.experts)
            case "sum":
                return Fixed.sum(first)
        return Fixed.average(first)

    @cached_property
    def _router(self) -> HeadRouter:
        """A linear head for all twelve, from their training questions."""
        path = self.runs / "router.safetensors"
        if not path.exists():
            examples, held_out = (
                router_examples(self.tasks, split, with_public=False)
                for split in ("train", "validation")
            )
            HeadRouter.train(self.model, examples, held_out).save(path)
        return HeadRouter.load(path, self.model)

    def collect(self) -> dict[str, Any]:
        """Counts of right answers from the answers on disk, and the experts' cosines."""
        names = list(self.tasks)
        alone = {way: self._count(way, len(names), names) for way in _ALONE}
        labels = {name: self.answer("routed", len(names), name) for name in names}
        sizes = [
            {"k": k, "n": k * TEST}
            | {way: sum(alone[way][name] for name in names[:k]) for way in _ALONE}
            | {way: sum(self._count(way, k, names[:k]).values()) for way in _TOGETHER}
            for k in SIZES
        ]
        return {
            "model": MODEL,
            "n": TEST,
            "settings": {key: getattr(CONFIG, key) for key in ("steps", "prompts", "lr")},
            "names": names,
            "alone": alone,
            "together": {way: self._count(way, len(names), names) for way in _TOGETHER},
            "sizes": [row | {"intervals": _intervals(row)} for row in sizes],
            "rightly_routed": sum(i.label == name for name in names for i in labels[name]),
            "cosines": _spread(self.experts),
        }

    def _count(self, way: str, k: int, names: Sequence[str]) -> dict[str, int]:
        return {name: sum(i.is_right for i in self.answer(way, k, name)) for name in names}


def _intervals(row: dict[str, Any]) -> dict[str, list[float]]:
    ways = (*_ALONE, *_TOGETHER)
    return {way: [round(bound, 4) for bound in wilson(row[way], row["n"])] for way in ways}


def _spread(experts: dict[str, Expert]) -> dict[str, list[float]]:
    """Least, mean and greatest cosine of two experts, of one family and of two."""
    between = cosines(list(experts.values()))
    found: dict[str, list[float]] = {"of one family": [], "of two families": []}
    for (i, one), (j, other) in combinations(enumerate(experts), 2):
        is_same = family_of(one) == family_of(other)
        found["of one family" if is_same else "of two families"].append(float(between[i, j]))
    return {
        which: [round(float(part), 3) for part in (min(c), np.mean(c), max(c))]
        for which, c in found.items()
    }
