"""Questions to a person at a terminal; elsewhere nobody is asked."""

import sys
from typing import Annotated

import typer

from .render import note
from .terminal import visible

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def agree_or_leave(question: str, remedy: str, otherwise: str) -> None:
    """End the command where a person does not agree, with `otherwise` as the last word. Raises
    a usage error that names the remedy where nobody can be asked.
    """
    if not agree(question, remedy):
        note(otherwise)
        raise typer.Exit(1)


def agree(question: str, remedy: str) -> bool:
    """What a person answers. Raises a usage error that names the remedy where nobody can."""
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"nobody can be asked here; {remedy}")
    sys.stderr.write(f"{visible(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
