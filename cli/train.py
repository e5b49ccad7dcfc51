"""`t2 train`: an expert from a reward."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import DEFAULT_MODEL, Json, Model, Rank
from .render import TrainingDisplay, complain, emit, facts, note, percent, say
from .session import decompose_with_bar, open_model


def train(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="A task's name; `t2 tasks` lists them.")],
    model: Model = DEFAULT_MODEL,
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/expert"),
    mode: Annotated[
        str | None,
        typer.Option(help="rloo, reinforce (batch baseline) or paper (to the letter) (rloo)."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates (20).")] = None,
    prompts: Annotated[
        int | None, typer.Option("--prompts", "-P", help="Problems a step (9).")
    ] = None,
    group: Annotated[
        int | None, typer.Option("--group", "-G", help="Completions a problem (8).")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate (2e-3).")] = None,
    warmup: Annotated[
        int | None, typer.Option(help="Updates over which the learning rate rises (0).")
    ] = None,
    kl: Annotated[
        float | None,
        typer.Option(
            help="Weight of the KL penalty to the base model; 0.05 where a policy shuts (0)."
        ),
    ] = None,
    kl_form: Annotated[
        str | None,
        typer.Option(
            help="k2 (in the loss), k1 (in the reward), paper or reference (exact) (k2)."
        ),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temp", help="Of sampled completions (1).")
    ] = None,
    truncated: Annotated[
        str | None, typer.Option(help="A completion cut off is wrong, or masked (wrong).")
    ] = None,
    overlong: Annotated[
        int | None,
        typer.Option(help="Tokens before the limit over which a penalty rises to 1 (0)."),
    ] = None,
    balanced: Annotated[
        bool | None,
        typer.Option(
            "--balanced/--unbalanced", help="Each class or position equally often (balanced)."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of problems and completions (0).")] = None,
    targets: Annotated[
        str | None,
        typer.Option(help="Layers that wear scales: mlp, attention, all or a regex (mlp)."),
    ] = None,
    rank: Rank = None,
    eval_every: Annotated[
        int | None, typer.Option(help="Steps between validations (5).")
    ] = None,
    validation: Annotated[
        int | None, typer.Option(help="Problems of a validation (120).")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many validations without a better one.")
    ] = None,
    test: Annotated[
        int | None, typer.Option(help="Test problems answered before and after (200).")
    ] = None,
    init: Annotated[
        str | None, typer.Option(help="Start from this expert file instead of z = 1.")
    ] = None,
    memory_gb: Annotated[
        float | None, typer.Option(help="Most memory to plan for [GB] (the machine's).")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="Completions in one gradient pass (what fits).")
    ] = None,
    checkpointing: Annotated[
        bool | None, typer.Option(help="Compute activations twice: less memory, more time.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Measure what it would take on this machine; train nothing.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="YAML or JSON file of settings, these and a few more; flags win.",
        ),
    ] = None,
    report_to: Annotated[
        str | None, typer.Option(help="Log to wandb, swanlab or both, as mlx-lm does.")
    ] = None,
    project_name: Annotated[str | None, typer.Option(help="For --report-to.")] = None,
    json: Json = False,
) -> None:
    """Train an expert by REINFORCE; the best on validation is OUT/expert.safetensors.

    On several machines: mlx.launch --hostfile HOSTS -- t2 train …
    """
    from mlx_t2.reading import batching
    from mlx_t2.tasks import get_task
    from mlx_t2.training import TrainConfig, plan, reporter, train_config

    settings_known = TrainConfig.__dataclass_fields__
    flags = {k: v for k, v in context.params.items() if k in settings_known and v is not None}
    chosen = get_task(task)
    settings = train_config(flags, config, out if resume else None)
    worn = open_model(model)
    decompose_with_bar(worn, settings.targets, settings.rank)
    if slower := batching(worn).why:
        note(slower)
    if dry_run:
        _show_plan(plan(worn, chosen, settings), json)
        return
    send = reporter(report_to, project_name, out, settings) if report_to else _nowhere
    trained = _trained(worn, chosen, settings, out, resume, send)
    if trained is not None:
        _show_result(task, out, *trained, json)


def _nowhere(_: Any) -> None:
    """No service to report to."""


def _show_result(task: str, out: Path, expert: Any, seconds: float, json: bool) -> None:
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


def _show_plan(plan: Any, json: bool) -> None:
    import dataclasses

    if json:
        emit(dataclasses.asdict(plan))
        return
    held = plan.weights + plan.bases + plan.trained
    rows = f"{plan.rows} of {plan.completions} completions"
    facts(
        "what it takes, measured here",
        [
            ("weights", _gb(plan.weights)),
            ("singular vectors", _gb(plan.bases)),
            ("z, its gradient and optimiser", _gb(plan.trained)),
            ("sampling: keys, values, scores", _gb(plan.sampling)),
            (f"gradient pass over {rows}", f"at most {_gb(plan.gradient)}"),
            ("together", f"{_gb(held + plan.gradient)}, there are {_gb(plan.limit)}"),
            ("a step", f"at most {plan.step_seconds:.1f} s"),
            ("all steps and evaluations", f"at most {plan.total_seconds / 60:.1f} min"),
        ],
    )


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _trained(
    worn: Any, task: Any, settings: Any, out: Path, resume: bool, send: Any
) -> tuple[Any, float] | None:
    """Run to the end with a display; Ctrl-C says how to go on. Nothing comes back where another
    machine has the files.
    """
    import shlex
    import time

    from mlx_t2.errors import ConfigError, T2Error
    from mlx_t2.experts import Expert
    from mlx_t2.training import Ranks, plot_run, train

    start, is_first = time.perf_counter(), Ranks().is_first
    again = shlex.join(
        ["t2", "train", task.name, "--model", worn.name, "--out", str(out), "--resume"]
    )
    try:
        with TrainingDisplay(f"training {task.name} on {worn.name}", is_first) as display:
            for report in train(worn, task, settings, out, resume):
                display.show(report)
                try:
                    (send if is_first else _nowhere)(report)
                except ConfigError as error:  # the training is worth more than its log
                    note(f"{error}; nothing more is reported there")
                    send = _nowhere
    except KeyboardInterrupt:
        if is_first and (out / "config.json").exists():
            complain(f"stopped; every finished step is kept. To go on: {again}")
        elif is_first:
            complain("stopped before the run began; nothing was written")
        raise typer.Exit(130) from None
    if not is_first:
        return None
    try:
        note(f"curves: {plot_run(out)}")
    except T2Error as error:  # the expert is there all the same
        note(str(error))
    return Expert.load(out / "expert.safetensors"), time.perf_counter() - start
