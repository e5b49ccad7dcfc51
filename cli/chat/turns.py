"""The turns of a chat: reads messages and does what they ask for, until the input ends."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import typer

from ..choice import label_choice
from ..render import complain, say, stdout
from ..surroundings import find_stray_byte
from .commands import COMMANDS
from .file_commands import resume
from .lines import Lines
from .sessions import Session, session_names
from .talk import Chat

_LEAVE = ("exit", "quit")


class Reader(Protocol):
    """Where messages are typed."""

    def read(self, prompt: str, draft: str = "") -> str:
        """The next one. Raises EOFError at the end, KeyboardInterrupt at Ctrl-C."""
        ...


def open_session(
    name: str | None, is_last: bool, is_unkept: bool, is_person: bool
) -> Session | None:
    """Where the conversation is kept: a person's is, what is piped only by a name.

    Raises: a usage error for flags that exclude each other; ConfigError where there is none to
        go on with.
    """
    from mlx_t2.errors import ConfigError

    if is_unkept and (name is not None or is_last):
        raise typer.BadParameter("--no-history: got a session too, expected one of the two")
    if name is not None and is_last:
        raise typer.BadParameter("--resume and --session exclude each other; give one")
    if is_last:
        names = session_names()
        if not names:
            raise ConfigError(
                "--resume: no conversation is kept yet, expected one to go on with"
            )
        return Session(names[0])
    if name is not None:
        return Session(name)
    return Session() if is_person and not is_unkept else None


def begin(talk: Chat, word: str, is_chosen: bool) -> None:
    """Follow the flags, and go on with what the session has. What a flag asks for has to be
    there; without one, the plain model has to do where there is no router.
    """
    if is_chosen:
        talk.wear(word)
    if talk.session is not None and talk.session.exists():
        resume(talk, talk.session, is_worn=is_chosen)
    if not is_chosen and not talk.conversation.turns:
        talk.wear_or_go_without(word)


def open_reader(talk: Chat, is_person: bool, is_remembered: bool) -> Reader:
    """The keyboard; lines, where the terminal can do no more, or where nobody types."""
    if not is_person or stdout.is_dumb_terminal or os.environ.get("TERM") in ("", "unknown"):
        return Lines(is_person)
    from .keyboard import Keyboard

    talk.can_edit = True
    return Keyboard(talk, is_remembered)


def loop(talk: Chat, reader: Reader) -> None:
    """Read and answer until the end of the input."""
    while not talk.is_over:
        draft, talk.conversation.draft = talk.conversation.draft, ""
        try:
            line = reader.read(f"{prompt_of(talk)} › ", draft)
            with _quiet(reader):
                take_turn(talk, line.strip())
        except EOFError:
            break
        except KeyboardInterrupt:
            say()


def _quiet(reader: Reader) -> AbstractContextManager[None]:
    if isinstance(reader, Lines):
        return nullcontext()
    from .keyboard import keys_unseen

    return keys_unseen()


def prompt_of(talk: Chat) -> str:
    """What is worn, in half of a line at most."""
    label = label_choice(talk.conversation.worn)
    room = max(8, stdout.width // 2)
    return label if len(label) <= room else label[: room - 1] + "…"


def take_turn(talk: Chat, line: str) -> None:
    """One message: a command, a question, a vote, or nothing."""
    if (stray := find_stray_byte([line])) is not None:
        complain(f"this line: {stray}, expected UTF-8 text")
        return
    if (take := talk.answer_next) is not None:
        talk.answer_next = None
        run(lambda: take(line))
        return
    if not line:
        return
    if line in _LEAVE:
        talk.is_over = True
    elif line.startswith("//") or not line.startswith("/"):
        talk.ask(line.removeprefix("/"))
    else:
        run_command(talk, line)


def run_command(talk: Chat, line: str) -> None:
    """What the command of this line does."""
    word, *rest = line.split(maxsplit=1)
    command = COMMANDS.get(word)
    if command is None:
        complain(f"{word}: no such command, expected one of {', '.join(COMMANDS)}")
        return
    run(lambda: command.run(talk, "".join(rest).strip()))


def run(work: Callable[[], None]) -> None:
    """Do it; what cannot be done is said in one line."""
    from mlx_t2.errors import T2Error

    try:
        work()
    except T2Error as error:
        complain(str(error))
