"""`t2 train`: an expert from a reward."""

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import (
    DEFAULT_MODEL,
    AllowUnsandboxed,
    GraderName,
    Json,
    LongestAnswer,
    Model,
    Reward,
    TaskExperts,
    TaskName,
)
from .render import complain, emit, facts, note, percent, say, size, stderr
from .session import decompose_with_bar, open_model
from .task_choice import open_task, task_words
from .train_add import AddName, add_to_library, check_new_name, prefer_kind, show_added
from .train_options import with_train_options
from .training_display import TrainingDisplay, show_phases

if TYPE_CHECKING:
    from mlx_t2.experts import Expert
    from mlx_t2.models import SVFModel
    from mlx_t2.tasks import Task
    from mlx_t2.training import StepReport, TrainConfig, TrainPlan


@with_train_options
def train(
    task: TaskName,
    grader: GraderName = None,
    reward: Reward = None,
    allow_unsandboxed: AllowUnsandboxed = False,
    max_tokens: LongestAnswer = None,
    experts: TaskExperts = None,
    model: Model = DEFAULT_MODEL,
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/expert"),
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Measure what it would take on this machine; train nothing.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="YAML or JSON file of settings; flags win."),
    ] = None,
    add: AddName = None,
    report_to: Annotated[
        str | None, typer.Option(help="Log to wandb, swanlab or both, as mlx-lm does.")
    ] = None,
    project_name: Annotated[str | None, typer.Option(help="For --report-to.")] = None,
    json: Json = False,
    **settings: Any,
) -> None:
    """Train an expert by REINFORCE; the best on validation is OUT/expert.safetensors.

    On several machines: mlx.launch --hostfile HOSTS -- t2 train …
    """
    from mlx_t2.training import check_task, open_tracker, read_config, watch_planning

    if add is not None:
        check_new_name(add, out)
    flags = {name: value for name, value in settings.items() if value is not None}
    given = (task, grader, reward, max_tokens, experts)
    chosen = open_task(*given)
    settled = (flags, config, out if resume else None, chosen)
    read = read_config(*settled)
    check_task(chosen, read)  # known before the model is loaded
    _describe_data(chosen, read)
    _begin(f"loading {model}")
    worn = open_model(model)
    if add is not None:
        read = read_config(*settled, prefer_kind(worn))
    _make_ready(worn, chosen, read)
    if dry_run:
        _show_plan(show_phases(watch_planning(worn, chosen, read)), json)
        return
    send = open_tracker(report_to, project_name, out, read) if report_to else _send_nowhere
    start, words = time.perf_counter(), task_words(*given)
    expert = _train_to_the_end(worn, chosen, words, read, out, resume, send)
    if expert is None:
        return
    expert = _calibrate(worn, expert, chosen, out)
    seconds = time.perf_counter() - start
    added = None if add is None else add_to_library(worn, add, out)
    _show_result(chosen, out, expert, seconds, added, json)
    if not json:
        _show_next(chosen, words, model, out, added)


def _calibrate(model: "SVFModel", expert: "Expert", task: "Task", out: Path) -> "Expert":
    """The expert. One that says where a question belongs is written once more, with what it
    takes to be believed.
    """
    from mlx_t2.adaptation import calibrate_judge
    from mlx_t2.tasks import CLS

    if task.name != CLS:
        return expert
    with stderr.status("calibrating on validation questions"):
        calibrated = calibrate_judge(model, expert, task)
        calibrated.save(out / "expert.safetensors")
    note(f"threshold: {calibrated.metrics['threshold']:.3f}")
    return calibrated


def _make_ready(model: "SVFModel", task: "Task", config: "TrainConfig") -> None:
    """Decompose the model, once it can read the task; what is worth a note of the two."""
    from mlx_t2.models import check_conversations
    from mlx_t2.reading import batching

    first = task.step(config.prompts, config.seed)
    check_conversations(model, [problem.messages for problem in first])
    _begin("decomposing")
    decompose_with_bar(model, config.targets, config.rank)
    for remark in (batching(model).why, _describe_load(), _describe_rank(model, config.rank)):
        if remark:
            note(remark)


def _describe_data(task: "Task", config: "TrainConfig") -> None:
    """Where its problems are from, and where fewer are held out than are by default."""
    from mlx_t2.training import TrainConfig

    note(f"{task.name}: {task.source}")
    for split, count, default in (
        ("validation", config.validation, TrainConfig.validation),
        ("test", config.test, TrainConfig.test),
    ):
        if 0 < count < default and count == task.available(split, default):
            note(f"{split}: {count} problems, all that there are")


def _begin(phase: str) -> None:
    """Name a phase where no bar shows it."""
    if not stderr.is_terminal:
        note(phase)


def _describe_load() -> str | None:
    """What other programs leave of the machine, where that is not all of it."""
    from mlx_t2 import blas

    threads = blas.choose_threads(0.2)
    if not threads.is_busy:
        return None
    return f"busy machine ({threads.why}): BLAS threads: {threads.count}"


def _describe_rank(model: "SVFModel", rank: int | None) -> str | None:
    """Where a rank asks for more than there is."""
    most = max(shape[-1] for shape in model.shapes.values())
    if rank is None or rank <= most:
        return None
    return (
        f"rank: got {rank:,}, no weight has more than {most:,} singular values: all are scaled"
    )


def _send_nowhere(_: "StepReport") -> None:
    """No service to report to."""


def _train_to_the_end(
    model: "SVFModel",
    task: "Task",
    words: list[str],
    config: "TrainConfig",
    out: Path,
    resume: bool,
    send: "Callable[[StepReport], None]",
) -> "Expert | None":
    """The expert, trained with a display; Ctrl-C says how to go on. None where another machine
    has the files.

    words: what named the task.
    """
    from mlx_t2.errors import T2Error
    from mlx_t2.experts import Expert
    from mlx_t2.training import Ranks, plot_run

    is_first = Ranks().is_first
    try:
        _show_steps(model, task, config, out, resume, send if is_first else _send_nowhere)
    except KeyboardInterrupt:
        if is_first:
            _say_how_to_go_on(model, words, out)
        raise typer.Exit(130) from None
    if not is_first:
        return None
    try:
        with stderr.status("drawing the curves"):
            plot = plot_run(out)
        note(f"curves: {plot}")
    except T2Error as error:  # the expert is there all the same
        note(str(error))
    return Expert.load(out / "expert.safetensors")


def _show_steps(
    model: "SVFModel",
    task: "Task",
    config: "TrainConfig",
    out: Path,
    resume: bool,
    send: "Callable[[StepReport], None]",
) -> None:
    from mlx_t2.errors import ConfigError
    from mlx_t2.training import Ranks, watch_training

    title = f"training {task.name} on {model.name}"
    with TrainingDisplay(title, config, Ranks().is_first) as display:
        for report in display.watch(watch_training(model, task, config, out, resume)):
            try:
                send(report)
            except ConfigError as error:  # the training is worth more than its log
                note(f"{error}; nothing more is reported there")
                send = _send_nowhere


def _say_how_to_go_on(model: "SVFModel", named: list[str], out: Path) -> None:
    if not (out / "config.json").exists():
        complain("stopped before the run began; nothing was written")
        return
    words = ["t2", "train", *named, "--model", model.source, "--out", str(out), "--resume"]
    complain(f"stopped; every finished step is kept. To go on: {shlex.join(words)}")


def _show_result(
    task: "Task",
    out: Path,
    expert: "Expert",
    seconds: float,
    added: dict[str, Any] | None,
    json: bool,
) -> None:
    metrics: dict[str, Any] = expert.metrics
    result = {
        "task": task.name,
        "source": task.source,
        "steps": metrics["steps"],
        "base_accuracy": metrics.get("base_accuracy", metrics["base_validation"]),
        "final_accuracy": metrics.get("final_accuracy", metrics["best_validation"]),
        "n_eval": metrics.get("n_eval", metrics["n_validation"]),
        "expert": str(out / "expert.safetensors"),
        "seconds": round(seconds, 1),
        "skipped_steps": metrics["skipped_steps"],
        "signal": metrics.get("signal"),
    }
    result |= {"added": added} if added else {}
    if json:
        emit(result)
        return
    split = "test" if "n_eval" in metrics else "validation"
    say(
        f"{task.name}: {percent(result['base_accuracy'])} → "
        f"{percent(result['final_accuracy'])} of {result['n_eval']} {split} problems, "
        f"{result['steps']} steps in {seconds:.0f} s"
    )
    say(f"expert: {result['expert']}")
    if added:
        show_added(added)


def _show_next(
    task: "Task", named: list[str], model: str, out: Path, added: dict[str, Any] | None
) -> None:
    """Three commands that go on from here. Nothing is asked: another command may be waiting."""
    from mlx_t2.tasks import question_of

    of_model = [] if model == DEFAULT_MODEL else ["--model", model]
    name = added["name"] if added else str(out / "expert.safetensors")
    worn = ["--expert", name, *of_model]
    is_chosen = added is not None and added["is_known"]
    chosen = ["--adapt", "auto", *of_model] if is_chosen else worn
    chat = of_model if is_chosen else worn  # it chooses by itself
    question = question_of(task.problems("validation", 1)[0])["content"]
    asked = ["--", question] if question.startswith("-") else [question]
    note("next:")
    for words in (["eval", *named, *worn], ["chat", *chat], ["generate", *chosen, *asked]):
        note(f"  {shlex.join(['t2', *words])}")


def _show_plan(plan: "TrainPlan", json: bool) -> None:
    if json:
        emit(vars(plan))
        return
    held = plan.weights + plan.bases + plan.trained
    rows = f"{plan.rows} of {plan.completions} completions"
    facts(
        "what it takes, measured here",
        [
            ("weights", size(plan.weights)),
            ("singular vectors", size(plan.bases)),
            ("z, its gradient and optimiser", size(plan.trained)),
            ("sampling: keys, values, scores", size(plan.sampling)),
            (f"gradient pass over {rows}", f"at most {size(plan.gradient)}"),
            ("together", f"{size(held + plan.gradient)}, there are {size(plan.limit)}"),
            ("BLAS threads", f"{plan.threads or 'its own'} ({plan.threads_why})"),
            ("one step", f"at most {plan.step_seconds:.1f} s"),
            ("all steps and evaluations", f"at most {plan.total_seconds / 60:.1f} min"),
        ],
    )
