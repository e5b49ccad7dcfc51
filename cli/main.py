"""Assembles the commands. The only place where an error of the library becomes an exit code."""

import sys

import typer

from . import (
    bench,
    chat,
    decompose,
    demo,
    doctor,
    eval,
    experts,
    export,
    generate,
    tasks,
    train,
)

app = typer.Typer(
    name="t2",
    help="Transformer² on MLX: a language model that adapts its own weights to each request.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.command()(decompose.decompose)
app.add_typer(tasks.app, name="tasks")
app.command()(train.train)
app.command("eval")(eval.evaluate)
app.command()(generate.generate)
app.command()(chat.chat)
app.add_typer(experts.app, name="experts")
app.command()(export.export)
app.command()(bench.bench)


def main() -> None:
    """Run `t2`: 0 done, 1 an error of the user's that can be mended, 2 wrong usage, 130
    interrupted.
    """
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from mlx_t2.errors import T2Error

        if not isinstance(error, T2Error) and not _is_of_a_path(error):
            raise
        from .render import complain

        complain(_in_one_line(error))
        sys.exit(1)


def _is_of_a_path(error: Exception) -> bool:
    """The system's word on a path that somebody gave: a last net under the library's own."""
    return isinstance(error, OSError) and bool(error.errno) and bool(error.filename)


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror or 'not usable'}, expected a usable path"
    return str(error)
