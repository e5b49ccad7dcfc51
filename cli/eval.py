"""`t2 eval`: how often a strategy answers rightly."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    RouterFile,
    Seed,
)
from .render import emit, interval, percent, progress, say, table
from .session import check_choice, open_model, open_strategy

if TYPE_CHECKING:
    from mlx_t2.adaptation import Strategy
    from mlx_t2.evaluation import GradedItem, Report
    from mlx_t2.models import SVFModel
    from mlx_t2.tasks import Task


def evaluate(
    task: Annotated[str, typer.Argument(help="A task's name; `t2 tasks` lists them.")],
    model: Model = DEFAULT_MODEL,
    expert: ExpertName = None,
    mix: Mix = None,
    adapt: Adapt = None,
    experts: ExpertsFolder = None,
    router: RouterFile = None,
    allow_transfer: AllowTransfer = False,
    basis_bits: BasisBits = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    limit: Annotated[int, typer.Option(min=1, help="How many problems.")] = 200,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="JSONL file of every answer.")] = None,
    json: Json = False,
) -> None:
    """Answer a task's problems greedily; accuracy with its 95 % interval."""
    check_choice(expert, mix, adapt, router)
    from mlx_t2.evaluation import by_kind, commonest_answer, write_items
    from mlx_t2.models import check_conversations
    from mlx_t2.tasks import get_task

    chosen = get_task(task)
    # a wrong split is known before the model is loaded, a prompt it cannot read right after
    asked = [problem.messages for problem in chosen.problems(split, limit, seed)]
    if out:
        _check_writable(out)
    worn = open_model(model)
    check_conversations(worn, asked)
    strategy = open_strategy(
        worn, expert, mix, adapt, experts, allow_transfer, basis_bits, router
    )
    items, report = evaluate_with_bar(worn, chosen, strategy, split, limit, seed)
    if out:
        write_items(items, out)
    if json:
        emit(report.to_json())
        return
    say(
        f"{task}, {split}, {report.strategy}: {percent(report.accuracy)} "
        f"({report.correct} of {report.n}, 95 % interval {interval(report.interval)} %), "
        f"{report.seconds:.0f} s, {items[0].form} scales"
    )
    kinds = [
        (kind, f"{s.correct} of {s.n}", percent(s.accuracy))
        for kind, s in by_kind(items).items()
    ]
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
    """Evaluate, with a bar on the screen."""

    from mlx_t2.evaluation import Report, evaluate

    start, items = time.perf_counter(), []
    with progress(title or f"answering {task.name}", limit) as advance:
        for item in evaluate(model, task, strategy, split, limit, seed):
            items.append(item)
            advance()
    report = Report.of(
        items,
        task=task.name,
        model=model.name,
        split=split,
        seconds=time.perf_counter() - start,
        strategy=strategy.name,
    )
    return items, report
