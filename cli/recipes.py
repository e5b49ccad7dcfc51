"""`python -m mlx_t2_cli.recipes NAME`: what makes the bundled experts, the one on a public set
among them, their router, the comparisons of strategies, of settings and of exports, what is
measured on a real model, and the two pages of documentation; no commands of `t2`.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from .main import main
from .render import say

Name = Literal[
    "experts",
    "arc",
    "router",
    "strategies",
    "study",
    "subdomains",
    "exports",
    "forms",
    "evidence",
    "models",
    "results",
]


Problems = Annotated[
    int | None,
    typer.Option(min=1, help="forms: test problems, 200; evidence: fewer, as a trial."),
]
Steps = Annotated[
    int | None,
    typer.Option(min=1, help="forms: steps of its trainings, 20; evidence: as problems."),
]
ModelFolder = Annotated[
    str | None, typer.Option("--model", help="evidence: the folder of the base model.")
]
Parts = Annotated[
    list[str] | None,
    typer.Option("--part", help="evidence: a part of the plan; may be repeated."),
]
Hours = Annotated[
    float | None, typer.Option(min=0, help="evidence: when to stop; it goes on later.")
]
Workers = Annotated[int, typer.Option(min=1, help="evidence: jobs at a time.")]
Plan = Annotated[
    bool, typer.Option("--plan", help="evidence: list the jobs and how far each is.")
]
Samples = Annotated[
    bool, typer.Option("--samples", help="evidence: list problems to read, by place.")
]


def recipes(
    name: Annotated[
        Name,
        typer.Argument(
            help="experts, arc, study, subdomains and evidence train for hours, router for "
            "minutes; "
            "strategies and forms measure for an hour, exports for minutes; models and results "
            "write pages."
        ),
    ],
    problems: Problems = None,
    steps: Steps = None,
    model: ModelFolder = None,
    parts: Parts = None,
    hours: Hours = None,
    workers: Workers = 2,
    plan: Plan = False,
    samples: Samples = False,
) -> None:
    """Run a recipe. A training recipe that was stopped continues from runs/NAME."""
    from mlx_t2.recipes import (
        MODELS,
        RESULTS,
        Extent,
        list_samples,
        measure_evidence,
        render_models,
        render_results,
        show_plan,
    )

    runs, parts = Path("runs") / name, parts or []
    if name == "evidence" and (plan or samples):
        for line in show_plan(runs, parts, workers) if plan else list_samples(runs):
            say(line)
        return
    if name == "evidence":
        if model is None:
            raise typer.BadParameter("evidence: expected --model, the folder of a model")
        extent = Extent(hours=hours, problems=problems, steps=steps)
        lines = measure_evidence(runs, model, parts, extent, workers)
    else:
        lines = _run_recipe(name, runs, problems or 200, steps or 20)
    for line in lines:
        say(line)
    page, text = (MODELS, render_models) if name == "models" else (RESULTS, render_results)
    say(f"wrote {page.write(text())}")


def _run_recipe(name: Name, runs: Path, problems: int, steps: int) -> Iterator[str]:
    """The lines of a recipe, which does its work as they are read; none of a page's."""
    from mlx_t2.recipes import (
        build_bundle,
        build_router,
        compare_strategies,
        measure_exports,
        measure_forms,
        measure_subdomains,
        run_arc,
        run_study,
    )

    known = {
        "experts": build_bundle,
        "arc": run_arc,
        "router": build_router,
        "strategies": compare_strategies,
        "study": run_study,
        "subdomains": measure_subdomains,
        "exports": measure_exports,
        "forms": partial(measure_forms, problems=problems, steps=steps),
    }
    if name in known:
        yield from known[name](runs)


if __name__ == "__main__":
    main(partial(typer.run, recipes))
