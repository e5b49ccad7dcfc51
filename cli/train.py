"""`t2 train`: an expert from a reward."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import DEFAULT_MODEL, Json, Model, Rank
from .render import TrainingDisplay, emit, note, percent, say
from .session import decomposed, opened


def train(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="A task's name; `t2 tasks` lists them.")],
    model: Model = DEFAULT_MODEL,
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/expert"),
    steps: Annotated[int | None, typer.Option(help="Updates (20).")] = None,
    prompts: Annotated[
        int | None, typer.Option("--prompts", "-P", help="Problems a step (9).")
    ] = None,
    group: Annotated[
        int | None, typer.Option("--group", "-G", help="Completions a problem (8).")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate (2e-3, which is safe).")
    ] = None,
    kl: Annotated[
        float | None, typer.Option(help="Weight of the KL penalty to the base model (0).")
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
    test: Annotated[
        int | None, typer.Option(help="Test problems answered before and after (200).")
    ] = None,
    init: Annotated[
        str | None, typer.Option(help="Start from this expert file instead of z = 1.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="YAML or JSON file of settings; flags win."),
    ] = None,
    json: Json = False,
) -> None:
    """Train an expert by REINFORCE; the best on validation is OUT/expert.safetensors."""
    from mlx_t2.tasks import get_task
    from mlx_t2.training import train_config

    flags = {k: context.params[k] for k in _SETTINGS if context.params[k] is not None}
    chosen = get_task(task)
    settings = train_config(flags, config, out if resume else None)
    worn = opened(model)
    decomposed(worn, settings.targets, settings.rank)
    expert, seconds = _trained(worn, chosen, settings, out, resume)
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


_SETTINGS = (
    *("steps", "prompts", "group", "lr", "kl", "seed", "targets", "rank", "eval_every"),
    *("validation", "test", "init"),
)


def _trained(worn: Any, task: Any, settings: Any, out: Path, resume: bool) -> tuple[Any, float]:
    """Run to the end with a display; Ctrl-C says how to go on."""
    import time

    from mlx_t2.errors import ConfigError
    from mlx_t2.experts import Expert
    from mlx_t2.training import plot_run, train

    start = time.perf_counter()
    try:
        with TrainingDisplay(f"training {task.name} on {worn.name}") as display:
            for report in train(worn, task, settings, out, resume):
                display.show(report)
    except KeyboardInterrupt:
        note(
            f"stopped. To go on: t2 train {task.name} --model {worn.name} --out {out} --resume"
        )
        raise typer.Exit(130) from None
    try:
        note(f"curves: {plot_run(out)}")
    except ConfigError as error:
        note(str(error))
    return Expert.load(out / "expert.safetensors"), time.perf_counter() - start
