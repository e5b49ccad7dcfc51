"""`t2 eval`: how often a strategy answers rightly."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .compared import show_comparison
from .options import (
    DEFAULT_MODEL,
    Adapt,
    AllowTransfer,
    BasisBits,
    ExpertName,
    ExpertsFolder,
    Json,
    Mix,
    Model,
    Seed,
    Shown,
)
from .render import emit, interval, note, percent, progress, say, table
from .session import check_choice, open_model, open_strategy

if TYPE_CHECKING:
    from mlx_t2.adaptation import Strategy
    from mlx_t2.evaluation import Asked, GradedItem, Report
    from mlx_t2.models import SVFModel
    from mlx_t2.tasks import Task

_SAMPLED = "Samples"
_LIMIT = 200
"""Problems, unless told otherwise."""


def evaluate(
    task: Annotated[str, typer.Argument(help="A task's name; `t2 tasks` lists them.")],
    model: Model = DEFAULT_MODEL,
    expert: ExpertName = None,
    mix: Mix = None,
    adapt: Adapt = None,
    experts: ExpertsFolder = None,
    allow_transfer: AllowTransfer = False,
    basis_bits: BasisBits = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Answer under the base model too, and pair.")
    ] = False,
    show: Shown = 3,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many problems; 200, where there are as many.")
    ] = None,
    seed: Seed = 0,
    samples: Annotated[
        int, typer.Option(min=1, help="Answers to each problem.", rich_help_panel=_SAMPLED)
    ] = 1,
    k: Annotated[
        str | None,
        typer.Option("--k", help="For pass@k: 1,8.", rich_help_panel=_SAMPLED),
    ] = None,
    temp: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Temperature; 0 is greedy, the default of one answer; else 1.",
            rich_help_panel=_SAMPLED,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSONL file of every answer; goes on with its own.")
    ] = None,
    json: Json = False,
) -> None:
    """Answer a task's problems greedily; accuracy with its 95 % interval."""
    check_choice(expert, mix, adapt)
    if compare and (samples > 1 or not (expert or mix or adapt)):
        raise typer.BadParameter(
            "--compare pairs one answer per problem of the base model with one of --expert, "
            "--mix or --adapt: give one of these, and no --samples"
        )
    ks = _read_ks(k, samples)
    from mlx_t2.evaluation import Asked, compare_all
    from mlx_t2.models import check_conversations
    from mlx_t2.tasks import get_task

    chosen = get_task(task)
    temperature = float(samples > 1) if temp is None else temp
    count = chosen.available(split, _LIMIT) if limit is None else limit
    asked = Asked(split=split, limit=count, seed=seed, samples=samples, temperature=temperature)
    # a wrong split is known before the model is loaded, a prompt it cannot read right after
    messages = [problem.messages for problem in chosen.problems(split, count, seed)]
    if out:
        _check_writable(out)
    worn = open_model(model)
    check_conversations(worn, messages)
    strategy = open_strategy(worn, expert, mix, adapt, experts, allow_transfer, basis_bits)
    base_items: list[GradedItem] = []
    base = None
    if compare:
        base_items, base = _evaluate_base(worn, chosen, asked, out)
    items, report = answer_with_bar(worn, chosen, strategy, asked, out=out, ks=ks)
    found = compare_all(base_items, [items]) if base else []
    if json:
        paired = {"base": base.to_json(), "comparison": found[0].to_json()} if base else {}
        emit(report.to_json() | paired)
        return
    _show(report, items)
    if base:
        names = [f"before: {base.strategy}", f"after: {report.strategy}"]
        show_comparison(found, names, base_items, [items], show)


def _read_ks(text: str | None, samples: int) -> list[int]:
    """The numbers of --k; a usage error where there are not as many samples."""
    parts = [part.strip() for part in (text or "").split(",")] if text is not None else []
    ks = [int(part) if part.isascii() and part.isdigit() else 0 for part in parts]
    if not all(1 <= k <= samples for k in ks):
        raise typer.BadParameter(
            f"--k: got {text!r}, expected numbers from 1 to --samples, which is {samples}"
        )
    return sorted(set(ks))


def _evaluate_base(
    model: "SVFModel", task: "Task", asked: "Asked", out: Path | None
) -> "tuple[list[GradedItem], Report]":
    from mlx_t2.adaptation import Fixed

    beside = out and out.with_name(f"{out.stem}.base{out.suffix}")
    if beside:
        note(f"answers of the base model: {beside}")
    return answer_with_bar(model, task, Fixed.base(), asked, out=beside)


def _show(report: "Report", items: "list[GradedItem]") -> None:
    from mlx_t2.evaluation import by_kind, commonest_answer

    shared = f", {report.clusters} clusters" if report.clusters < report.n else ""
    count = report.n * report.samples
    say(
        f"{report.task}, {report.split}, {report.strategy}: {percent(report.accuracy)} "
        f"({report.correct} of {count}, 95 % interval {interval(report.interval)} %{shared}), "
        f"{report.seconds:.0f} s, {items[0].form} scales"
    )
    say(
        f"in the form asked for: {percent(report.strict)}; whatever the form: "
        f"{percent(report.lenient)}; cut off at {items[0].max_tokens} tokens: "
        f"{percent(report.truncated)}"
    )
    for at, share in report.pass_at.items():
        bounds = interval(report.pass_at_interval[at])
        say(f"pass@{at}: {percent(share)} (95 % interval {bounds} %, {report.samples} samples)")
    if report.source:
        say(f"problems: {report.source}")
    kinds = [
        (kind, f"{s.correct} of {s.n}", percent(s.accuracy))
        for kind, s in by_kind(items).items()
    ]
    if len(kinds) > 1:
        table("by kind of answer", ("kind", "right", "accuracy"), kinds)
    answer, share = commonest_answer(items)
    say(f"most common answer: {answer!r}, {percent(share)} of all")


def _check_writable(out: Path) -> None:
    """Raise before the work is done, not after."""
    from mlx_t2.errors import FileError

    folder = next(p for p in out.absolute().parents if p.exists())
    if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise FileError(f"{out}: cannot be written, expected a file in a writable folder")


def evaluate_with_bar(
    model: "SVFModel",
    task: "Task",
    strategy: "Strategy",
    split: str,
    limit: int,
    seed: int = 0,
    title: str | None = None,
) -> tuple[list["GradedItem"], "Report"]:
    """Evaluate greedily, with a bar on the screen."""
    from mlx_t2.evaluation import Asked

    asked = Asked(split=split, limit=limit, seed=seed)
    return answer_with_bar(model, task, strategy, asked, title)


def answer_with_bar(
    model: "SVFModel",
    task: "Task",
    strategy: "Strategy",
    asked: "Asked",
    title: str | None = None,
    out: Path | None = None,
    ks: Iterable[int] = (),
) -> tuple[list["GradedItem"], "Report"]:
    """Evaluate, with a bar on the screen; into a file, where one is given."""
    from mlx_t2.evaluation import Report, evaluate_all, evaluate_into, read_items

    start, items = time.perf_counter(), []
    title = title or f"answering {task.name}, {strategy.name}"
    with progress(title, asked.limit * asked.samples) as advance:
        answered = (
            evaluate_into(out, model, task, strategy, asked)
            if out
            else evaluate_all(model, task, strategy, asked)
        )
        for item in answered:
            items.append(item)
            advance()
    if out:
        items = read_items(out)  # in the task's order
    report = Report.of(
        items,
        task=task.name,
        model=model.name,
        split=asked.split,
        seconds=time.perf_counter() - start,
        strategy=strategy.name,
        ks=list(ks),
        source=task.source,
    )
    return items, report
