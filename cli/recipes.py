"""`python -m mlx_t2_cli.recipes NAME`: what makes the bundled experts, the one on a public set
among them, the comparison of settings, and the two pages of documentation; no commands of `t2`.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .render import say


def recipes(
    name: Annotated[
        Literal["experts", "arc", "study", "models", "results"],
        typer.Argument(
            help="experts, arc and study train for hours; models and results write pages."
        ),
    ],
) -> None:
    """Run a recipe. A training recipe that was stopped continues from runs/NAME."""
    from mlx_t2.recipes import (
        MODELS,
        RESULTS,
        build_bundle,
        render_models,
        render_results,
        run_arc,
        run_study,
    )

    train = {"experts": build_bundle, "arc": run_arc, "study": run_study}.get(name)
    if train:
        for line in train(Path("runs") / name):
            say(line)
    page, text = (MODELS, render_models) if name == "models" else (RESULTS, render_results)
    say(f"wrote {page.write(text())}")


if __name__ == "__main__":
    typer.run(recipes)
