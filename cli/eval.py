"""`t2 eval`: how often a strategy answers rightly."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .choice import name_choice, open_choice
from .compared import show_comparison
from .options import (
    DEFAULT_MODEL,
    Adapt,
    AllowTransfer,
    AllowUnsandboxed,
    BasisBits,
    ExpertName,
    ExpertsFolder,
    GraderName,
    Json,
    LongestAnswer,
    Mix,
    Model,
    Reward,
    RouterFile,
    Seed,
    Shown,
    TaskName,
)
from .render import emit, interval, note, percent, progress, say, table
from .session import check_choice, open_model
from .task_choice import open_task

if TYPE_CHECKING:
    from mlx_t2.adaptation import Strategy
    from mlx_t2.evaluation import Asked, GradedItem, Report
    from mlx_t2.models import SVFModel
    from mlx_t2.routing import Conversation
    from mlx_t2.tasks import Problem, Task

    Evaluated = tuple[list[GradedItem], Report]

_SAMPLED = "Samples"
_LIMIT = 200
"""Problems, unless told otherwise."""


Compare = Annotated[
    bool, typer.Option("--compare", help="Answer under the base model too, and pair.")
]
Split = Annotated[str, typer.Option(help="train, validation, test or all.")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="How many problems; 200, where there are as many.")
]
Samples = Annotated[
    int, typer.Option(min=1, help="Answers to each problem.", rich_help_panel=_SAMPLED)
]
Ks = Annotated[
    str | None, typer.Option("--k", help="For pass@k: 1,8.", rich_help_panel=_SAMPLED)
]
Temp = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Temperature; 0 is greedy, the default of one answer; else 1.",
        rich_help_panel=_SAMPLED,
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="JSONL file of every answer; goes on with its own.")
]
Harness = Annotated[
    bool,
    typer.Option("--harness", help="TASK is lm-evaluation-harness's: a name or YAML file."),
]


def evaluate(
    task: TaskName,
    grader: GraderName = None,
    reward: Reward = None,
    allow_unsandboxed: AllowUnsandboxed = False,
    max_tokens: LongestAnswer = None,
    model: Model = DEFAULT_MODEL,
    expert: ExpertName = None,
    mix: Mix = None,
    adapt: Adapt = None,
    experts: ExpertsFolder = None,
    router: RouterFile = None,
    allow_transfer: AllowTransfer = False,
    basis_bits: BasisBits = None,
    compare: Compare = False,
    show: Shown = 3,
    split: Split = "test",
    limit: Limit = None,
    seed: Seed = 0,
    samples: Samples = 1,
    k: Ks = None,
    temp: Temp = None,
    out: Out = None,
    harness: Harness = False,
    json: Json = False,
) -> None:
    """Answer a task's problems, greedily but for --samples or --temp; accuracy with its 95 %
    interval.
    """
    word = name_choice(expert, mix, adapt, otherwise="off")
    check_choice(expert, mix, adapt, router, word)

    def open_both(messages: "Sequence[Conversation]") -> "tuple[SVFModel, Strategy]":
        from mlx_t2.models import check_conversations

        worn = open_model(model)
        check_conversations(worn, messages)
        return worn, open_choice(worn, word, experts, allow_transfer, basis_bits, router)

    if harness:
        own = (grader, reward, max_tokens, allow_unsandboxed)
        _refuse_with_harness(compare, samples > 1, k, temp, out, split != "test", *own)
        _show_harness(*open_both([]), task, limit, seed, json)
        return
    _check_pairs(compare, samples, bool(expert or mix or adapt))
    ks = _read_ks(k, samples)
    chosen = open_task(task, grader, reward, max_tokens, experts)
    asked = _choose(chosen, split, limit, seed, samples, temp)
    # a wrong split is known before the model is loaded, a prompt it cannot read right after
    messages = [one.messages for one in chosen.problems(split, asked.limit, seed)]
    if out:
        _check_writable(out)
    worn, strategy = open_both(messages)
    before = _evaluate_base(worn, chosen, asked, out) if compare else None
    after = answer_with_bar(worn, chosen, strategy, asked, out=out, ks=ks)
    _tell(before, after, show, json)


def _check_pairs(compare: bool, samples: int, has_strategy: bool) -> None:
    """A usage error where there are no two answers to each problem to pair."""
    if compare and (samples > 1 or not has_strategy):
        raise typer.BadParameter(
            "--compare pairs one answer per problem of the base model with one of --expert, "
            "--mix or --adapt: give one of these, and no --samples"
        )


def _choose(
    task: "Task", split: str, limit: int | None, seed: int, samples: int, temp: float | None
) -> "Asked":
    """What is asked of the task."""
    from mlx_t2.evaluation import Asked

    count = task.available(split, _LIMIT) if limit is None else limit
    temperature = float(samples > 1) if temp is None else temp
    return Asked(split=split, limit=count, seed=seed, samples=samples, temperature=temperature)


def _tell(before: "Evaluated | None", after: "Evaluated", show: int, json: bool) -> None:
    """The result, beside the base where that was asked for."""
    from mlx_t2.evaluation import compare_all

    items, report = after
    found = compare_all(before[0], [items]) if before else []
    if json:
        paired = (
            {"base": before[1].to_json(), "comparison": found[0].to_json()} if before else {}
        )
        emit(report.to_json() | {"form": items[0].form} | paired)
        return
    _show(report, items)
    if before:
        names = [f"before: {before[1].strategy}", f"after: {report.strategy}"]
        show_comparison(found, names, before[0], [items], show)


def _read_ks(text: str | None, samples: int) -> list[int]:
    """The numbers of --k; a usage error where there are not as many samples."""
    parts = [part.strip() for part in (text or "").split(",")] if text is not None else []
    ks = [int(part) if part.isascii() and part.isdigit() else 0 for part in parts]
    if not all(1 <= k <= samples for k in ks):
        raise typer.BadParameter(
            f"--k: got {text!r}, expected numbers from 1 to --samples, which is {samples}"
        )
    return sorted(set(ks))


def _refuse_with_harness(*given: object) -> None:
    """A usage error for an option of ours that the harness's tasks do not know."""
    if any(one is not None and one is not False for one in given):
        raise typer.BadParameter(
            "--harness runs a task as that package has it: no --compare, --samples, --k, "
            "--temp, --out, --split, --grader, --reward, --max-tokens or --allow-unsandboxed"
        )


def _show_harness(
    model: "SVFModel",
    strategy: "Strategy",
    task: str,
    limit: int | None,
    seed: int,
    json: bool,
) -> None:
    from mlx_t2.evaluation import run_harness

    begin = time.perf_counter()
    with redirect_stdout(sys.stderr):  # the harness prints as it likes
        results = run_harness(model, strategy, task, limit, seed)
    seconds = time.perf_counter() - begin
    if json:
        emit(
            {
                "task": task,
                "model": model.name,
                "strategy": strategy.name,
                "results": results,
                "seconds": round(seconds, 1),
            }
        )
        return
    rows = [
        (name, metric.removesuffix(",none"), f"{value:.4g}")
        for name, metrics in results.items()
        for metric, value in metrics.items()
        if value is not None
    ]
    title = f"lm-evaluation-harness, {strategy.name}, {seconds:.0f} s"
    table(title, ("task", "metric", "value"), rows)


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
    if report.hidden_failed:
        say(f"passed what the prompt shows and failed a hidden test: {report.hidden_failed}")
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
    problems: "Sequence[Problem] | None" = None,
) -> tuple[list["GradedItem"], "Report"]:
    """Evaluate, with a bar on the screen; into a file, where one is given.

    problems: those to answer, instead of the task's own draw; in no file then.
    """
    from mlx_t2.evaluation import Report, evaluate_all, evaluate_into, read_items
    from mlx_t2.sandbox import level_used

    start, items = time.perf_counter(), []
    title = title or f"answering {task.name}, {strategy.name}"
    with progress(title, asked.limit * asked.samples) as advance:
        answered = (
            evaluate_into(out, model, task, strategy, asked)
            if out
            else evaluate_all(model, task, strategy, asked, problems)
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
        sandbox=level_used(),
    )
    return items, report
