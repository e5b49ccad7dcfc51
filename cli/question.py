"""The question of `t2 generate`: from the command line, from standard input, or from both."""

import select
import sys
from typing import Any

import typer
from typer.core import TyperCommand

from .render import note
from .surroundings import find_stray_byte

_SILENT_S = 1.0
"""How long a pipe may say nothing before it is said what is waited for [s]."""
_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]


class QuestionCommand(TyperCommand):
    """A command whose argument is free text: "-5 + 3" looks like an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except _USAGE_ERROR as error:
            if error.message.startswith("No such option"):
                unknown = str(getattr(error, "option_name", "-"))
                question = next((w for w in words if w.startswith(unknown)), unknown)
                error.message += (
                    ". A question that begins with a dash goes after --: "
                    f't2 {ctx.info_name} -- "{question}"'
                )
            raise


def read_question(prompt: str | None, with_stdin: bool) -> str:
    """The prompt, a blank line, and what standard input has; each may be missing, not both.

    prompt: `-` or None is standard input alone.
    Raises: a usage error where nothing is asked.
    """
    if prompt in ("-", None):
        if not with_stdin:
            raise typer.BadParameter("--no-stdin: got no question, expected one as an argument")
        question = _read_stdin(is_needed=True).strip()
    elif with_stdin and not sys.stdin.isatty():
        context = _read_stdin(is_needed=False).strip("\r\n")
        question = f"{prompt}\n\n{context}" if context.strip() else prompt
    else:
        question = prompt
    if not question.strip():
        raise typer.BadParameter("the question is empty")
    return question


def _read_stdin(is_needed: bool) -> str:
    """All of it, as text. Where it cannot be read, as under nohup, it is empty or refused."""
    if sys.stdin.isatty():
        note("type the question; Ctrl-D on a line of its own ends it")
    elif _is_silent():
        note("waiting for standard input to end; --no-stdin answers without it")
    try:
        text = sys.stdin.read().removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as error:
        if not is_needed and isinstance(error, OSError):
            return ""
        raise unreadable(error, "a question") from error
    if (stray := find_stray_byte([text])) is not None:
        from mlx_t2.errors import FileError

        raise FileError(f"standard input: {stray}, expected UTF-8 text")
    return text


def unreadable(error: OSError | UnicodeDecodeError, expected: str) -> Exception:
    """What to raise where standard input gives no text."""
    from mlx_t2.errors import FileError

    reason = error.strerror if isinstance(error, OSError) else error
    return FileError(f"standard input: cannot be read ({reason}), expected {expected}")


def _is_silent() -> bool:
    try:
        return not select.select([sys.stdin], [], [], _SILENT_S)[0]
    except (OSError, ValueError):  # a text in memory
        return False
