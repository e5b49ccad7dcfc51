"""`t2 adapt`: a mixture of experts for a task, found on a few of its problems."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .eval import answer_with_bar
from .options import (
    DEFAULT_MODEL,
    WEIGHTS,
    AllowTransfer,
    AllowUnsandboxed,
    ExpertsFolder,
    GraderName,
    Json,
    LongestAnswer,
    Model,
    Reward,
    Seed,
    TaskName,
)
from .render import emit, interval, note, percent, progress, say, table
from .session import open_model, show_preparation
from .task_choice import open_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlx_t2.adaptation import Found, SearchConfig
    from mlx_t2.evaluation import Report
    from mlx_t2.experts import Expert
    from mlx_t2.models import SVFModel
    from mlx_t2.tasks import Problem, Task

    Experts = Mapping[str, Expert]

_SEARCH = "Search"


Among = Annotated[
    str | None, typer.Option(help="Mix these experts alone: a,b,c.", rich_help_panel=WEIGHTS)
]
Shots = Annotated[
    int, typer.Option(min=1, help="Problems to choose on.", rich_help_panel=_SEARCH)
]
Part = Annotated[
    Literal["model", "layer", "matrix"],
    typer.Option(help="What has coefficients of its own.", rich_help_panel=_SEARCH),
]
Normalised = Annotated[
    bool, typer.Option("--normalised", help="Coefficients sum to 1.", rich_help_panel=_SEARCH)
]
RankedBy = Annotated[
    Literal["score", "likelihood", "gradient"],
    typer.Option(
        help="Rank by answers and then by how probable right ones are; by that alone; or climb "
        "that by its gradient.",
        rich_help_panel=_SEARCH,
    ),
]
Population = Annotated[
    int, typer.Option(min=1, help="Candidates per iteration.", rich_help_panel=_SEARCH)
]
Iterations = Annotated[
    int,
    typer.Option(min=1, help="Populations, or steps of the gradient.", rich_help_panel=_SEARCH),
]
Reported = Annotated[
    int, typer.Option("--limit", min=0, help="Other problems, to report on; 0 reports none.")
]
Out = Annotated[Path, typer.Option(help="Expert file to write.")]


def adapt(
    task: TaskName,
    grader: GraderName = None,
    reward: Reward = None,
    allow_unsandboxed: AllowUnsandboxed = False,
    max_tokens: LongestAnswer = None,
    model: Model = DEFAULT_MODEL,
    experts: ExpertsFolder = None,
    among: Among = None,
    allow_transfer: AllowTransfer = False,
    shots: Shots = 8,
    per: Part = "model",
    normalised: Normalised = False,
    by: RankedBy = "score",
    population: Population = 16,
    iterations: Iterations = 10,
    limit: Reported = 200,
    out: Out = Path("adapted.safetensors"),
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Mix the experts of a model for a task: coefficients that are best on a few solved
    problems, found by the cross-entropy method, are reported on others, beside the base model,
    and written as an expert.
    """
    from mlx_t2.adaptation import SearchConfig

    if out.suffix != ".safetensors":
        raise typer.BadParameter(f"--out: got {out}, expected a file.safetensors")
    config = SearchConfig(
        per=per,
        normalised=normalised,
        by=by,
        shots=shots,
        population=population,
        iterations=iterations,
        seed=seed,
    )
    chosen = open_task(task, grader, reward, max_tokens)
    solved, others = _choose_problems(chosen, config, limit)
    worn = _open(model, [*solved, *others])
    mixed = _make_ready(worn, experts, among, allow_transfer)
    found, expert = _search(worn, chosen, mixed, solved, config, out)
    reports = _report(worn, chosen, expert, others, seed) if others else None
    _show(chosen, found, expert.metrics, reports, out, json)


def _open(name: str, problems: "list[Problem]") -> "SVFModel":
    """The model, which has to be able to read the problems."""
    from mlx_t2.models import check_conversations

    model = open_model(name)
    check_conversations(model, [problem.messages for problem in problems])
    return model


def _make_ready(
    model: "SVFModel", folder: Path | None, among: str | None, allow_transfer: bool
) -> "Experts":
    """The experts to mix, on a model that can wear them."""
    from mlx_t2.adaptation import prepare_all
    from mlx_t2.experts import open_library

    names = [name.strip() for name in among.split(",")] if among else []
    preparation, experts = prepare_all(model, open_library(folder), names, allow_transfer)
    show_preparation(preparation)
    return experts


def _choose_problems(
    task: "Task", config: "SearchConfig", limit: int
) -> "tuple[list[Problem], list[Problem]]":
    """The problems to choose on, and others to report on: of a split that shares no question
    with the first, where there is one.
    """
    split = next(name for name in ("train", "validation", "test") if name in task.splits)
    solved = task.problems(split, task.available(split, config.shots), config.seed)
    if len(solved) < config.shots:
        note(f"{split}: {len(solved)} problems, all that there are")
    if not limit:
        return solved, []
    reported = "test" if "test" in task.splits else task.splits[-1]
    known = {problem.id for problem in solved}
    drawn = task.problems(reported, task.available(reported, limit + len(known)), config.seed)
    return solved, [problem for problem in drawn if problem.id not in known][:limit]


def _search(
    model: "SVFModel",
    task: "Task",
    experts: "Experts",
    solved: "list[Problem]",
    config: "SearchConfig",
    out: Path,
) -> "tuple[Found, Expert]":
    """The best mixture, as an expert in its file; with a bar, and a note for each one that is
    better than those before.
    """
    from mlx_t2.adaptation import as_expert, search_mixture
    from mlx_t2.experts import name_of

    start, best = time.perf_counter(), None
    with progress(f"searching on {len(solved)} problems", config.iterations) as advance:
        for found in search_mixture(model, task, experts, solved, config):
            if best is None or found.rank > best.rank:
                ranked = ", ".join(f"{value:.4f}" for value in found.rank)
                note(f"iteration {found.iteration} of {config.iterations}: {ranked}")
            best = found
            advance()
    assert best is not None  # there is at least one iteration
    metrics = _metrics(best, len(solved), time.perf_counter() - start)
    expert = as_expert(name_of(out), model, task, experts, best, config, metrics)
    expert.save(out)
    return best, expert


def _metrics(found: "Found", shots: int, seconds: float) -> dict[str, Any]:
    return {
        "rank": list(found.rank),
        "n_shots": shots,
        "evaluations": found.evaluations,
        "seconds": round(seconds, 1),
    }


def _report(
    model: "SVFModel", task: "Task", expert: "Expert", others: "list[Problem]", seed: int
) -> "list[Report]":
    """The base model and the mixture on problems that it was not chosen on."""
    from mlx_t2.adaptation import Fixed
    from mlx_t2.evaluation import Asked

    asked = Asked(split="test", limit=len(others), seed=seed)
    mixture = Fixed.mixture({expert.name: expert}, {expert.name: 1.0})
    return [
        answer_with_bar(model, task, strategy, asked, problems=others)[1]
        for strategy in (Fixed.base(), mixture)
    ]


def _show(
    task: "Task",
    found: "Found",
    metrics: dict[str, Any],
    reports: "list[Report] | None",
    out: Path,
    json: bool,
) -> None:
    base, after = reports or (None, None)
    if json:
        emit(
            {
                "task": task.name,
                "coefficients": found.coefficients,
                "score": after.accuracy if after else found.rank[0],
                "base": base.accuracy if base else None,
                "n": after.n if after else 0,
                "interval": list(after.interval) if after else None,
                "expert": str(out),
            }
            | metrics
        )
        return
    rows = [(name, _format(value)) for name, value in found.coefficients.items()]
    table(f"mixture for {task.name}", ("expert", "coefficient"), rows)
    if base and after:
        say(
            f"{task.name}: {percent(base.accuracy)} → {percent(after.accuracy)} of {after.n} "
            f"other problems (95 % interval {interval(after.interval)} %), chosen on "
            f"{metrics['n_shots']} in {metrics['seconds']:.0f} s"
        )
    say(f"expert: {out}")


def _format(value: Any) -> str:
    """One number, or the range of those of the parts."""
    if not isinstance(value, dict):
        return f"{value:.2f}"
    numbers = list(value.values())
    mean = sum(numbers) / len(numbers)
    return f"{min(numbers):.2f} to {max(numbers):.2f}, mean {mean:.2f}"
