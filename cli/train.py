"""`t2 train`: an expert from a reward."""

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import DEFAULT_MODEL, Json, Model
from .render import complain, emit, facts, note, percent, say, size
from .session import decompose_with_bar, open_model
from .train_options import with_train_options
from .training_display import TrainingDisplay

if TYPE_CHECKING:
    from mlx_t2.experts import Expert
    from mlx_t2.models import SVFModel
    from mlx_t2.tasks import Task
    from mlx_t2.training import StepReport, TrainConfig, TrainPlan


@with_train_options
def train(
    task: Annotated[str, typer.Argument(help="A task's name; `t2 tasks` lists them.")],
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
    from mlx_t2.models import check_conversations
    from mlx_t2.reading import batching
    from mlx_t2.tasks import get_task
    from mlx_t2.training import open_tracker, plan_training, read_config

    flags = {name: value for name, value in settings.items() if value is not None}
    chosen = get_task(task)
    read = read_config(flags, config, out if resume else None)
    worn = open_model(model)
    first = chosen.step(read.prompts, read.seed)
    check_conversations(worn, [problem.messages for problem in first])
    decompose_with_bar(worn, read.targets, read.rank)
    if slower := batching(worn).why:
        note(slower)
    if dry_run:
        _show_plan(plan_training(worn, chosen, read), json)
        return
    send = open_tracker(report_to, project_name, out, read) if report_to else _send_nowhere
    start = time.perf_counter()
    expert = _train_to_the_end(worn, chosen, read, out, resume, send)
    if expert is not None:
        _show_result(task, out, expert, time.perf_counter() - start, json)


def _send_nowhere(_: "StepReport") -> None:
    """No service to report to."""


def _train_to_the_end(
    model: "SVFModel",
    task: "Task",
    config: "TrainConfig",
    out: Path,
    resume: bool,
    send: "Callable[[StepReport], None]",
) -> "Expert | None":
    """The expert, trained with a display; Ctrl-C says how to go on. None where another machine
    has the files.
    """
    from mlx_t2.errors import T2Error
    from mlx_t2.experts import Expert
    from mlx_t2.training import Ranks, plot_run

    is_first = Ranks().is_first
    try:
        _show_steps(model, task, config, out, resume, send if is_first else _send_nowhere)
    except KeyboardInterrupt:
        if is_first:
            _say_how_to_go_on(model, task, out)
        raise typer.Exit(130) from None
    if not is_first:
        return None
    try:
        note(f"curves: {plot_run(out)}")
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
    from mlx_t2.training import Ranks, train

    title = f"training {task.name} on {model.name}"
    with TrainingDisplay(title, Ranks().is_first) as display:
        for report in train(model, task, config, out, resume):
            display.show(report)
            try:
                send(report)
            except ConfigError as error:  # the training is worth more than its log
                note(f"{error}; nothing more is reported there")
                send = _send_nowhere


def _say_how_to_go_on(model: "SVFModel", task: "Task", out: Path) -> None:
    if not (out / "config.json").exists():
        complain("stopped before the run began; nothing was written")
        return
    words = ["t2", "train", task.name, "--model", model.source, "--out", str(out), "--resume"]
    complain(f"stopped; every finished step is kept. To go on: {shlex.join(words)}")


def _show_result(task: str, out: Path, expert: "Expert", seconds: float, json: bool) -> None:
    metrics: dict[str, Any] = expert.metrics
    result = {
        "task": task,
        "steps": metrics["steps"],
        "base_accuracy": metrics.get("base_accuracy", metrics["base_validation"]),
        "final_accuracy": metrics.get("final_accuracy", metrics["best_validation"]),
        "n_eval": metrics.get("n_eval", metrics["n_validation"]),
        "expert": str(out / "expert.safetensors"),
        "seconds": round(seconds, 1),
        "skipped_steps": metrics["skipped_steps"],
    }
    if json:
        emit(result)
        return
    split = "test" if "n_eval" in metrics else "validation"
    say(
        f"{task}: {percent(result['base_accuracy'])} → {percent(result['final_accuracy'])} "
        f"of {result['n_eval']} {split} problems, {result['steps']} steps in {seconds:.0f} s"
    )
    say(f"expert: {result['expert']}")


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
            ("one step", f"at most {plan.step_seconds:.1f} s"),
            ("all steps and evaluations", f"at most {plan.total_seconds / 60:.1f} min"),
        ],
    )
