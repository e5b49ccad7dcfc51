"""The answers of the evidence: who answers a set, and the file that the answers are kept in.

A strategy is called `base`; by a training with its seed (`arc-easy-0`, `arc-easy-best`), with
`@64` where no more than the scales of the 64 largest singular values are kept; or as `t2 eval
--adapt` calls it; or `searched`, a mixture for the set. Who chooses one expert is not asked
again for what that expert has answered: the choice is made, and the answer is on file. Knows
models and strategies; does not know what is made of the answers.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_t2.adaptation import (
    Fixed,
    SearchConfig,
    Strategy,
    plan_router,
    prepare_all,
    prepare_experts,
    prepare_strategy,
    search_mixture,
)
from mlx_t2.evaluation import Asked, GradedItem, evaluate_into, read_items, write_items
from mlx_t2.experts import Expert, Library
from mlx_t2.files import write_whole
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.models import SVFModel, load
from mlx_t2.sampling import SamplingConfig, has_queue
from mlx_t2.tasks import OTHER, DatasetTask

from .sets import SPLIT, choose_shots, find_task, open_set
from .trainings import (
    BEST,
    LABELS,
    TRAININGS,
    choose_seed,
    gather_experts,
    library_folder,
    load_for,
    load_trained,
)

BASE, SEARCHED = "base", "searched"
CHOOSING = ("prompt", "classifier", "cls")
"""Strategies whose first pass chooses one expert; `classifier` is the linear head."""
ROUTED = (*CHOOSING, "mixture")
"""Strategies with a first pass."""
EXPERTS = {"arc-easy": f"arc-easy-{BEST}", "gsm8k": "gsm8k-0", "mbpp": "mbpp-0"}
"""{label: what its answers are called}."""
SEARCH = SearchConfig(shots=10, population=8, iterations=4)
TIMED = 8
"""Problems that both passes are timed on, one by one."""
_BATCH, _BATCH_OF_A_GPU = 96, 256
"""Answers decoded at a time."""
_CHOSEN = 64
"""Requests that one first pass reads."""
_LETTERS = {"arc-challenge": "arc-challenge-letter"}
"""Options that are scored have no second pass: there letters are timed."""


def answers_path(runs: Path, name: str, on: str, form: str = "") -> Path:
    """The file of the answers."""
    return runs / "answers" / f"{'--'.join(filter(None, (name, on, form)))}.jsonl"


def read_answers(runs: Path, name: str, on: str, form: str = "") -> list[GradedItem]:
    """The answers of a finished job; of a searched mixture, without the problems that it was
    searched on.
    """
    items = read_items(answers_path(runs, name, on, form))
    if name != SEARCHED:
        return items
    seen = set(read_search(runs, on)["shots"])
    return [item for item in items if item.id not in seen]


def answer_set(
    runs: Path, folder: str, name: str, on: str, form: str, most: int | None
) -> Iterator[None]:
    """Answer the set, or go on; yields after each problem, whose answer is on disk then.

    folder: of the base model.
    """
    task, path = open_set(on, form, most), answers_path(runs, name, on, form)
    model, strategy = dress(runs, folder, name, on)
    path.parent.mkdir(parents=True, exist_ok=True)
    if name in CHOOSING:
        yield from _choose_answers(runs, path, on, task, strategy)
        return
    batch = _BATCH_OF_A_GPU if has_queue() else _BATCH
    asked = Asked(split=SPLIT, limit=task.available(SPLIT, 10**6), batch=batch)
    for _ in evaluate_into(path, model, task, strategy, asked):
        yield


def _choose_answers(
    runs: Path, path: Path, on: str, task: DatasetTask, strategy: Strategy
) -> Iterator[None]:
    """For each problem the answer of whom the strategy chooses; yields after each batch."""
    given = {label: _by_id(runs, who, on) for label, who in EXPERTS.items()}
    base, items = _by_id(runs, BASE, on), list[GradedItem]()
    problems = task.problems(SPLIT, task.available(SPLIT, 10**6))
    for start in range(0, len(problems), _CHOSEN):
        part = problems[start : start + _CHOSEN]
        adapted = strategy.adapt([problem.messages for problem in part])
        for problem, one in zip(part, adapted, strict=True):
            answer = given.get(one.label or OTHER, base)[problem.id]
            chosen = {"label": one.label, "coefficients": dict(one.coefficients)}
            items.append(replace(answer, strategy=strategy.name, **chosen))
        yield
    write_items(items, path)


def _by_id(runs: Path, name: str, on: str) -> dict[str, GradedItem]:
    """{problem: its answer}; of the best seed, where it has answered under its own name."""
    if not answers_path(runs, name, on).exists():
        kind, _, seed = name.rpartition("-")
        name = f"{kind}-{choose_seed(runs, kind)}" if seed == BEST else name
    return {item.id: item for item in read_answers(runs, name, on)}


def dress(runs: Path, folder: str, name: str, on: str) -> tuple[SVFModel, Strategy]:
    """The model, ready, and the strategy of that name."""
    if name == BASE:
        return load(folder), Fixed.base()
    if name == SEARCHED:
        return _dress_searched(runs, folder, on)
    if name in ROUTED:
        model = load(folder)
        return model, prepare_strategy(model, _library(runs), adaptation=name).finish()
    trained, _, rank = name.partition("@")
    expert = load_trained(runs, trained)
    if rank:
        expert = cut_rank(expert, int(rank))
    model = load_for(folder, expert.name, expert.seed)
    one = {expert.name: expert}
    if TRAININGS[expert.name].is_lora:
        return model, Fixed.mixture(one, {expert.name: 1.0})
    return model, prepare_experts(model, one, {expert.name: 1.0}).finish()


def cut_rank(expert: Expert, rank: int) -> Expert:
    """The expert with z = 1 behind the `rank` largest singular values of each weight."""
    scales = {
        path: mx.where(mx.arange(z.shape[-1]) < rank, z, 1.0)
        for path, z in expert.scales.items()
    }
    return replace(expert, scales=scales)


def _library(runs: Path) -> Library:
    return Library(library_folder(runs), bundled=None)


def train_router(runs: Path, folder: str) -> None:
    """The linear head over the experts, beside them."""
    gather_experts(runs)
    router = plan_router(load(folder), _library(runs), names=LABELS).finish()
    router.save(library_folder(runs) / "router.safetensors")


# Searched mixtures


def _dress_searched(runs: Path, folder: str, on: str) -> tuple[SVFModel, Strategy]:
    model = load(folder)
    preparation, experts = prepare_all(model, _library(runs), LABELS)
    preparation.finish()
    path = _search_path(runs, on)
    if not path.exists():
        task, shots = find_task(on), choose_shots(on)
        by = "score" if shots[0].options else "likelihood"
        config = replace(SEARCH, by=by, shots=len(shots))
        *_, found = search_mixture(model, task, experts, shots, config)
        kept = {
            "coefficients": found.coefficients,
            "rank": found.rank,
            "shots": [problem.id for problem in shots],
            "settings": asdict(config),
        }
        write_whole(path, json.dumps(kept, indent=1) + "\n")
    return model, Fixed.mixture(experts, read_search(runs, on)["coefficients"])


def _search_path(runs: Path, on: str) -> Path:
    return runs / "searches" / f"{on}.json"


def read_search(runs: Path, on: str) -> dict[str, Any]:
    """What was found for the set, and the problems that it was searched on."""
    return json.loads(_search_path(runs, on).read_text(encoding="utf-8"))


# The two passes


def time_passes(runs: Path, folder: str, name: str, on: str, most: int | None) -> None:
    """Answer a few problems one by one, and write down the milliseconds of both passes."""
    task = open_set(_LETTERS.get(on, on), "", min(TIMED, most or TIMED))
    model, strategy = dress(runs, folder, name, on)
    generator = AdaptiveGenerator(model, strategy)
    config = SamplingConfig(temperature=0, max_tokens=task.max_tokens)
    problems = task.problems(SPLIT, task.available(SPLIT, TIMED))
    generator.generate(problems[0].messages, SamplingConfig(temperature=0, max_tokens=2))
    routes = [generator.generate(one.messages, config).route for one in problems]
    found = {
        "set": task.name,
        "n": len(routes),
        "first_ms": round(sum(route.first_pass_ms for route in routes), 1),
        "second_ms": round(sum(route.second_pass_ms for route in routes), 1),
    }
    write_whole(times_path(runs, name, on), json.dumps(found) + "\n")


def times_path(runs: Path, name: str, on: str) -> Path:
    """The file that `time_passes` writes."""
    return runs / "times" / f"{name}--{on}.json"
