"""What each strategy of self-adaptation is worth on the same questions, and on those of a
domain that no expert was trained on.

Nothing is chosen on the problems that are reported: mixtures are searched on training problems,
thresholds and rules were chosen on validation ones.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from mlx_t2.adaptation import (
    ADAPTATIONS,
    Adapted,
    Fixed,
    SearchConfig,
    Strategy,
    prepare_all,
    prepare_strategy,
    search_mixture,
)
from mlx_t2.errors import ConfigError
from mlx_t2.evaluation import GradedItem, evaluate, mcnemar, read_items, wilson, write_items
from mlx_t2.experts import BUNDLED, Library, acts_on_of
from mlx_t2.files import write_whole
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.models import load
from mlx_t2.tasks import OTHER, GeneratedTask, Task, get_task, question_of, shared_prompt

from .merging import add_without_conflict, merge_ties, mix_as_reference
from .provenance import describe_source
from .results_page import DATA
from .unseen import make_unseen

MODEL = "smollm2-135m"
DOMAINS = ("largest", "expression", "kind")
TEST = 400
"""Problems of each domain, or all that there are."""
ROUTED = ("prompt", "cls", "auto", "mixture")
TOGETHER = ("average", "sum")
MERGED = {"conflict-aware": add_without_conflict, "TIES": merge_ties}
SEEDS = (0, 1, 2)
SEARCH = SearchConfig(shots=8, population=16, iterations=5)
CLIMB = replace(SEARCH, by="gradient", iterations=15)
_TIMED = 12
"""Questions whose first pass is timed."""


def compare_strategies(runs: Path) -> Iterator[str]:
    """Answer all problems under every strategy, or read the answers of a run that was stopped;
    yields a line for each part.
    """
    bench = Bench(runs)
    for task in (*bench.known, bench.unseen):
        for name in bench.names(task):
            items = bench.answer(name, task)
            yield f"{name} on {task.name}: {sum(i.is_right for i in items)}/{len(items)}"
    found = bench.collect() | describe_source("make strategies")
    write_whole(DATA / "strategies.json", json.dumps(found, indent=1) + "\n")
    yield f"wrote {DATA / 'strategies.json'}"


class Bench:
    """The model, the experts of the generated domains, and the problems."""

    def __init__(self, runs: Path):
        self.runs = runs
        self.library = self._gather()
        self.model = load(MODEL)
        preparation, self.experts = prepare_all(self.model, self.library, DOMAINS)
        preparation.finish()
        is_bare = acts_on_of(list(self.experts.values())) == "answer"
        self.form = "bare" if is_bare else "shared"
        prompt = () if is_bare else shared_prompt()
        self.known = [_behind(get_task(domain), prompt, self.form) for domain in DOMAINS]
        self.unseen = make_unseen(prompt)

    def _gather(self) -> Library:
        """The bundled experts of the generated domains, their router and the `cls` expert."""
        folder = self.runs / "experts"
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*DOMAINS, "router", "cls"):
            bundled = BUNDLED / MODEL / f"{name}.safetensors"
            if bundled.exists():
                _put(folder / bundled.name, bundled.read_bytes())
        return Library(folder, bundled=None)

    def names(self, task: Task) -> list[str]:
        """The strategies that answer the task."""
        has_judge = any(expert.task == "cls" for expert, _ in self.library.experts())
        routed = [name for name in ROUTED if name != "cls" or has_judge]
        reference = ["reference rule", "reference rule, one expert"]
        searched = [*(f"searched {seed}" for seed in SEEDS), "climbed 0"]
        return ["none", *DOMAINS, *TOGETHER, *MERGED, *routed, *reference, *searched]

    def answer(self, name: str, task: Task) -> list[GradedItem]:
        """The task's test problems under one strategy, or the answers on disk."""
        path = self._path(name, task)
        limit = task.available("test", TEST)
        if not path.exists() or len(read_items(path)) != limit:
            strategy, found = self._strategy(name, task)
            items = list(evaluate(self.model, task, strategy, limit=limit))
            if found is not None:
                write_whole(path.with_suffix(".json"), json.dumps(found) + "\n")
            write_items(items, path)
        return read_items(path)

    def _path(self, name: str, task: Task) -> Path:
        return self.runs / "answers" / f"{name.replace(' ', '-')}--{task.name}.jsonl"

    def _strategy(self, name: str, task: Task) -> tuple[Strategy, dict[str, Any] | None]:
        """The strategy, and what a search found."""
        if name in ADAPTATIONS:
            return prepare_strategy(self.model, self.library, adaptation=name).finish(), None
        if name in self.experts:
            return Fixed.mixture(self.experts, {name: 1.0}), None
        kind, _, seed = name.rpartition(" ")
        if kind in ("searched", "climbed"):
            config = replace(SEARCH if kind == "searched" else CLIMB, seed=int(seed))
            return self._search(task, config)
        chosen = [self.experts[label] for label in sorted(self.experts)]
        if name in MERGED:
            return self._wear(name, MERGED[name](chosen)), None
        one = [float(label == task.domain) for label in sorted(self.experts)]
        is_one = name.endswith("one expert") and any(one)
        coefficients = one if is_one else [1 / len(chosen)] * len(chosen)
        scales = mix_as_reference(chosen, coefficients, self.model.singular_values)
        return self._wear(name, scales), None

    def _wear(self, name: str, scales: Any) -> Fixed:
        acts_on = acts_on_of(list(self.experts.values()))
        return Fixed(name, Adapted(scales, dict.fromkeys(self.experts, 1.0), acts_on=acts_on))

    def _search(self, task: Task, config: SearchConfig) -> tuple[Strategy, dict[str, Any]]:
        solved = task.problems("train", config.shots, config.seed)
        *_, found = search_mixture(self.model, task, self.experts, solved, config)
        coefficients: Mapping[str, float] = found.coefficients
        kept = {
            "coefficients": found.coefficients,
            "rank": found.rank,
            "evaluations": found.evaluations,
        }
        return Fixed.mixture(self.experts, coefficients), kept

    # Results

    def collect(self) -> dict[str, Any]:
        """Counts with intervals and paired tests, from the answers on disk: of the strategies
        that have answered all problems of a table.
        """
        known = self._count(self.known, _true_label)
        return {
            "model": MODEL,
            "form": self.form,
            "n": TEST,
            "search": asdict(SEARCH),
            "climb": asdict(CLIMB),
            "known": known,
            "unseen": self._count([self.unseen], None),
            "first_pass_ms": {
                name: self._time(name) for name in ROUTED if name in self.names(self.unseen)
            },
        }

    def _count(
        self, tasks: Sequence[Task], true_label: Callable[[Task], str] | None
    ) -> dict[str, Any]:
        wanted = {name: [(name, task) for task in tasks] for name in self.names(tasks[0])}
        if true_label:
            wanted["true label"] = [(true_label(task), task) for task in tasks]
        answers = {
            name: [self.answer(*one) for one in asked]
            for name, asked in wanted.items()
            if all(self._path(*one).exists() for one in asked)
        }
        reference = [item.is_right for item in chain(*answers["auto"])]
        return {
            name: self._row(list(chain(*parts)), reference)
            | {"by_task": [sum(item.is_right for item in part) for part in parts]}
            | self._found(name, tasks)
            for name, parts in answers.items()
        }

    def _row(self, items: list[GradedItem], reference: list[bool]) -> dict[str, Any]:
        right = [item.is_right for item in items]
        labels = [item.label for item in items]
        return {
            "correct": sum(right),
            "n": len(right),
            "interval": [round(bound, 4) for bound in wilson(sum(right), len(right))],
            "against_auto": asdict(mcnemar(reference, right)),
            "abstained": labels.count(OTHER) if any(labels) else None,
        }

    def _found(self, name: str, tasks: Sequence[Task]) -> dict[str, Any]:
        """What searches found, task by task."""
        paths = [self._path(name, task).with_suffix(".json") for task in tasks]
        found = [json.loads(p.read_text(encoding="utf-8")) for p in paths if p.exists()]
        return {"found": found} if found else {}

    def _time(self, name: str) -> float:
        """Median milliseconds of the first pass, over bare questions."""
        strategy, _ = self._strategy(name, self.unseen)
        generator = AdaptiveGenerator(self.model, strategy)
        asked = [
            question_of(problem)["content"]
            for task in self.known
            for problem in task.problems("validation", _TIMED // len(self.known))
        ]
        times = [generator.ask(question).route.first_pass_ms for question in asked]
        return round(median(times[1:]), 1)


def _put(path: Path, content: bytes) -> None:
    """Write a file that the answers depend on. Raises ConfigError where others were given."""
    if path.exists() and path.read_bytes() != content:
        raise ConfigError(
            f"{path}: got another expert than the bundled one, expected the same: the answers "
            f"beside it are of that one. Remove {path.parent.parent}"
        )
    write_whole(path, content)


def _true_label(task: Task) -> str:
    return task.domain


def _behind(task: Task, prompt: Any, form: str) -> Task:
    """The generated task behind this prompt alone."""
    assert isinstance(task, GeneratedTask)
    return replace(
        task, name=f"{task.domain}-{form}", prompts=(tuple(prompt),), stages=((tuple(prompt),),)
    )
