"""The bundled router: trained from our own requests alone, and measured on what it has never
seen.

Half of the ordinary requests that it is measured with are of public data sets, and are read
from the mirror that MLX_T2_DATA names; of those, the data set is recorded and not the text.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlx_t2.adaptation import plan_router
from mlx_t2.evaluation import wilson
from mlx_t2.experts import BUNDLED, Library
from mlx_t2.files import write_whole
from mlx_t2.models import SVFModel, load
from mlx_t2.routing import HeadRouter, decide, in_order, read_states, router_examples
from mlx_t2.tasks import OTHER, Problem, get_task, public_requests

from .provenance import describe_source
from .results_page import DATA

MODEL = "smollm2-135m"
EXPERTS = ("expression", "kind", "largest")
"""Those of the generated domains: no public data are needed to train it."""


def build_router(runs: Path) -> Iterator[str]:
    """Train the router of the bundled experts, ship it and measure it; yields a line for each.

    runs: not used: it takes minutes.
    """
    source, start = describe_source("make router"), time.perf_counter()
    model, bundle = load(MODEL), BUNDLED / MODEL
    router = train_bundled(model, bundle)
    seconds = time.perf_counter() - start
    yield f"router: threshold {router.threshold:.3f}, {router.metrics}"
    found = measure(router) | {"seconds": round(seconds, 1)} | source
    write_whole(DATA / "router.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    yield f"wrote {DATA / 'router.json'}"


def train_bundled(model: SVFModel, bundle: Path) -> HeadRouter:
    """The linear head that the classifier and mixture strategies read, beside the experts."""
    library = Library(bundle, bundled=None)
    training = plan_router(model, library, with_public=False, names=EXPERTS)
    router = training.finish()
    router.save(bundle / "router.safetensors")
    return router


def measure(router: HeadRouter) -> dict[str, Any]:
    """What it does with test questions of its tasks and with ordinary requests of others and of
    our own; every request that it adapts and should not, our own in words.
    """
    tasks = {label: get_task(task) for label, task in router.tasks.items()}
    problems = router_examples(tasks, "test")
    public = {problem.id: problem.kind for problem in public_requests("test", 10**6)}
    chosen = _route(router, problems)
    questions: dict[str, list[int]] = {}
    requests: dict[str, list[int]] = {}
    accepted = []
    for problem, (label, meant) in zip(problems, chosen, strict=True):
        is_bare = len(problem.messages) == 1
        if problem.domain != OTHER:
            name = f"{problem.domain}, {'bare' if is_bare else 'behind something'}"
            _count(questions, name, label == problem.domain)
            continue
        source = public.get(problem.id) or ("our own" if is_bare else "our own, in turns")
        _count(requests, source, label != OTHER)
        if label != OTHER:
            said = f"a question of {source}" if problem.id in public else _show(problem)
            accepted.append([said, label, round(meant, 3)])
    adapted, n = (sum(counts[i] for counts in requests.values()) for i in (0, 1))
    return {
        "model": MODEL,
        "labels": router.labels,
        "threshold": router.threshold,
        "validation": router.metrics,
        "questions": questions,
        "requests": requests,
        "adapted": adapted,
        "n": n,
        "interval": wilson(adapted, n),
        "accepted": accepted,
    }


def _route(router: HeadRouter, problems: Sequence[Problem]) -> list[tuple[str, float]]:
    """For each problem the label, and the probability that an expert is meant."""
    asked = [problem.messages for problem in problems]
    states = in_order(list(read_states(router.model, asked, router.blocks)))
    posterior: Any = router.head.posterior(states).tolist()
    rows = [dict(zip(router.labels, row, strict=True)) for row in posterior]
    return [(decide(row, router.threshold), 1 - row[OTHER]) for row in rows]


def _count(counts: dict[str, list[int]], name: str, is_hit: bool) -> None:
    """Add one to the hits, where it is one, and one to all."""
    hits, n = counts.get(name, (0, 0))
    counts[name] = [hits + is_hit, n + 1]


def _show(problem: Problem) -> str:
    return " | ".join(message["content"] for message in problem.messages)
