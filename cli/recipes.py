"""`python -m mlx_t2_cli.recipes NAME`: what makes the bundled experts, the one on a public set
among them, their router, the comparisons of strategies, of settings and of exports, and the two
pages of documentation; no commands of `t2`.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from .render import say


def recipes(
    name: Annotated[
        Literal[
            "experts",
            "arc",
            "router",
            "strategies",
            "study",
            "subdomains",
            "exports",
            "forms",
            "models",
            "results",
        ],
        typer.Argument(
            help="experts, arc, study and subdomains train for hours, router for minutes; "
            "strategies and forms measure for an hour, exports for minutes; models and results "
            "write pages."
        ),
    ],
    problems: Annotated[int, typer.Option(min=1, help="forms: test problems.")] = 200,
    steps: Annotated[int, typer.Option(min=1, help="forms: steps of its trainings.")] = 20,
) -> None:
    """Run a recipe. A training recipe that was stopped continues from runs/NAME."""
    from mlx_t2.recipes import (
        MODELS,
        RESULTS,
        build_bundle,
        build_router,
        compare_strategies,
        measure_exports,
        measure_forms,
        measure_subdomains,
        render_models,
        render_results,
        run_arc,
        run_study,
    )

    recipes = {
        "experts": build_bundle,
        "arc": run_arc,
        "router": build_router,
        "strategies": compare_strategies,
        "study": run_study,
        "subdomains": measure_subdomains,
        "exports": measure_exports,
        "forms": partial(measure_forms, problems=problems, steps=steps),
    }
    train = recipes.get(name)
    if train:
        for line in train(Path("runs") / name):
            say(line)
    page, text = (MODELS, render_models) if name == "models" else (RESULTS, render_results)
    say(f"wrote {page.write(text())}")


if __name__ == "__main__":
    typer.run(recipes)
