"""Options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

WEIGHTS, ANSWER, TASK = "Weights", "Answer", "Task"
"""Groups of options in the help."""

Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout; progress goes to stderr.")
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="Alias, folder or hub id of an mlx-lm model.",
        rich_help_panel=WEIGHTS,
    ),
]
Seed = Annotated[int, typer.Option(help="Same seed, same result.")]
Shown = Annotated[int, typer.Option(min=0, help="Fixed and broken problems that are listed.")]
ExpertName = Annotated[
    str | None,
    typer.Option(
        "--expert",
        "-e",
        help="Wear this: an expert's name or file, a sum (a+b, 0.5*a, -a), auto or off.",
        rich_help_panel=WEIGHTS,
    ),
]
Mix = Annotated[
    str | None,
    typer.Option(
        help="Wear a mixture: largest=0.6,expression=0.4.",
        rich_help_panel=WEIGHTS,
    ),
]
Adapt = Annotated[
    str | None,
    typer.Option(
        help="First pass: auto (the classifier), prompt, classifier, cls or mixture; without "
        "one: sum, average or off. Default: off.",
        rich_help_panel=WEIGHTS,
    ),
]
AdaptInChat = Annotated[
    str | None,
    typer.Option(
        "--adapt",
        help="First pass: auto (the classifier), prompt, classifier, cls or mixture; without "
        "one: sum, average or off. Default: auto.",
        rich_help_panel=WEIGHTS,
    ),
]
ExpertsFolder = Annotated[
    Path | None,
    typer.Option(
        "--experts",
        help="Folder of experts and router, instead of the library.",
        rich_help_panel=WEIGHTS,
    ),
]
RouterFile = Annotated[
    Path | None,
    typer.Option(
        "--router",
        help="File of a router (for cls: of an expert), instead of the one beside the experts.",
        rich_help_panel=WEIGHTS,
    ),
]
AllowTransfer = Annotated[
    bool,
    typer.Option(
        "--allow-transfer",
        help="Wear experts of another model with the same shapes, too.",
        rich_help_panel=WEIGHTS,
    ),
]
BasisBits = Annotated[
    int | None,
    typer.Option(
        help="Bits per entry of a basis: 32, 16, 8 or 4; the model's own by default.",
        rich_help_panel=WEIGHTS,
    ),
]
Targets = Annotated[
    str,
    typer.Option(help="Layers that wear scales: mlp, attention, all, or a regular expression."),
]
Rank = Annotated[
    int | None,
    typer.Option(min=1, help="Singular values scaled per weight, largest first; default all."),
]

TaskName = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="A task's name (`t2 tasks` lists them), or your own .jsonl or .yaml file.",
    ),
]
GraderName = Annotated[
    str | None,
    typer.Option(
        "--grader",
        help="How rows of your own are graded: exact, contains, number, math, choice, regex or "
        "code; guessed from the answers by default.",
        rich_help_panel=TASK,
    ),
]
Reward = Annotated[
    str | None,
    typer.Option(
        help="Python function that grades instead, called with prompt, completion and row: "
        "file.py:function.",
        rich_help_panel=TASK,
    ),
]
LongestAnswer = Annotated[
    int | None,
    typer.Option(
        "--max-tokens",
        min=1,
        help="Longest completion [tokens]; the task's own by default.",
        rich_help_panel=TASK,
    ),
]


def _allow_unsandboxed(is_given: bool) -> bool:
    if is_given:
        from mlx_t2.sandbox import allow_limits_everywhere

        allow_limits_everywhere()
    return is_given


AllowUnsandboxed = Annotated[
    bool,
    typer.Option(
        "--allow-unsandboxed",
        callback=_allow_unsandboxed,
        help="Run programs that a model wrote even where nothing but limits holds them.",
        rich_help_panel=TASK,
    ),
]
TaskExperts = Annotated[
    Path | None,
    typer.Option(
        "--experts",
        help="For the task cls: the folder of experts to tell apart, instead of the library.",
        rich_help_panel=TASK,
    ),
]

MaxTokens = Annotated[
    int, typer.Option(min=1, help="Longest answer [tokens].", rich_help_panel=ANSWER)
]
Temperature = Annotated[
    float, typer.Option(min=0.0, help="Temperature; 0 is greedy.", rich_help_panel=ANSWER)
]
TopP = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Draw from the most probable tokens that make up this probability; 1 is all.",
        rich_help_panel=ANSWER,
    ),
]
TopK = Annotated[
    int,
    typer.Option(
        min=0,
        help="Draw from this many most probable tokens; 0 is all.",
        rich_help_panel=ANSWER,
    ),
]
MinP = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Draw from tokens at least this share as probable as the first; 0 is all.",
        rich_help_panel=ANSWER,
    ),
]
RepetitionPenalty = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Above 1, what an answer has said becomes less probable.",
        rich_help_panel=ANSWER,
    ),
]
SystemMessage = Annotated[
    str | None,
    typer.Option(
        "--system",
        help="System message, instead of the expert's own prompt.",
        rich_help_panel=ANSWER,
    ),
]
Markdown = Annotated[
    bool,
    typer.Option("--markdown", help="Render the answer on a terminal.", rich_help_panel=ANSWER),
]

DEFAULT_MODEL = "smollm2-135m"


def refuse_options_before(context: typer.Context, *given: object) -> None:
    """A usage error where an option stands before a subcommand, which would not see it."""
    if any(given):
        name = context.invoked_subcommand
        raise typer.BadParameter(
            f"options go after the subcommand: {context.info_name} {name} …"
        )
