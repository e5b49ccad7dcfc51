"""Options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout; progress goes to stderr.")
]
Model = Annotated[
    str, typer.Option("--model", "-m", help="Alias, folder or hub id of an mlx-lm model.")
]
Seed = Annotated[int, typer.Option(help="Same seed, same result.")]
ExpertName = Annotated[
    str | None,
    typer.Option("--expert", "-e", help="Wear this expert: a name or the path of a file."),
]
Mix = Annotated[str | None, typer.Option(help="Wear a mixture: largest=0.6,kind=0.4.")]
Adapt = Annotated[
    str | None, typer.Option(help="First pass: prompt, classifier, mixture, sum or none.")
]
ExpertsFolder = Annotated[
    Path | None,
    typer.Option("--experts", help="Folder of experts and router, instead of the library."),
]
AllowTransfer = Annotated[
    bool,
    typer.Option(
        "--allow-transfer", help="Wear experts of another model with the same shapes, too."
    ),
]
BasisBits = Annotated[
    int | None,
    typer.Option(help="Bits per entry of a basis: 32, 16 or 8; the model's own by default."),
]
Targets = Annotated[
    str,
    typer.Option(help="Layers that wear scales: mlp, attention, all, or a regular expression."),
]
Rank = Annotated[
    int | None,
    typer.Option(min=1, help="Singular values scaled per weight, largest first; default all."),
]

DEFAULT_MODEL = "smollm2-135m"
