"""Assembles the commands."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from . import (
    adapt,
    bench,
    cache,
    chat,
    compare,
    decompose,
    demo,
    doctor,
    eval,
    experts,
    export,
    generate,
    router,
    serve,
    tasks,
    train,
)
from .question import QuestionCommand
from .render import say

app = typer.Typer(name="t2", no_args_is_help=True, pretty_exceptions_enable=False)
FIRST, MAKE, USE, REST = "First", "Make an expert", "Use experts", "The rest"
app.command(rich_help_panel=FIRST)(demo.demo)
app.command(rich_help_panel=FIRST)(doctor.doctor)
app.add_typer(tasks.app, name="tasks", rich_help_panel=MAKE)
app.command(rich_help_panel=MAKE)(train.train)
app.command("eval", rich_help_panel=MAKE)(eval.evaluate)
app.command(rich_help_panel=MAKE)(compare.compare)
app.command(rich_help_panel=MAKE)(adapt.adapt)
app.command(rich_help_panel=USE, cls=QuestionCommand)(generate.generate)
app.command(rich_help_panel=USE)(chat.chat)
app.command(rich_help_panel=USE)(serve.serve)
app.add_typer(experts.app, name="experts", rich_help_panel=USE)
app.add_typer(router.app, name="router", rich_help_panel=USE)
app.command(rich_help_panel=USE)(export.export)
app.command(rich_help_panel=REST)(decompose.decompose)
app.command(rich_help_panel=REST)(bench.bench)
app.add_typer(cache.app, name="cache", rich_help_panel=REST)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        say(f"mlx_t2 {version('mlx-t2')}")
        raise typer.Exit()


@app.callback()
def t2(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version."
        ),
    ] = False,
) -> None:
    """Transformer² on MLX: a language model that adapts its own weights to each request."""


def build_program() -> Any:
    """`t2`, to be called."""
    program = typer.main.get_command(app)
    _tidy_help(program)
    return program


def _tidy_help(command: Any) -> None:
    """Words as they are: "[tokens]" is not a style, and lines end where the page does. Types
    that say only what helps.
    """
    for described in (command, *command.params):
        if getattr(described, "help", None):
            paragraphs = described.help.split("\n\n")
            described.help = escape("\n\n".join(" ".join(p.split()) for p in paragraphs))
    for option in command.params:
        if getattr(option, "is_flag", False):
            option.metavar = ""
        elif (least := getattr(option, "min", None)) is not None:
            option.metavar = f"<{type(least).__name__}>"
    for inner in getattr(command, "commands", {}).values():
        _tidy_help(inner)
