"""Messages typed at a terminal: completion, history, several lines, pasted text as one. Only
this file knows prompt_toolkit.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from mlx_t2.errors import T2Error
from mlx_t2.folders import data_dir

from ..render import note
from ..terminal import visible
from .commands import offer_words, typed_part
from .lines import QUOTES, is_closed, unquote
from .talk import Chat


class Keyboard:
    """Reads what a person types."""

    def __init__(self, chat: Chat, is_remembered: bool, **streams: Any):
        """is_remembered: lines are there in the next chat, too.

        streams: the input and output of prompt_toolkit, where they are not the terminal's.
        """
        self._session: PromptSession[str] = PromptSession(
            history=_open_history() if is_remembered else InMemoryHistory(),
            completer=_Completer(chat),
            complete_while_typing=False,
            reserve_space_for_menu=5,
            multiline=True,
            key_bindings=_bindings(),
            prompt_continuation="… ",
            enable_open_in_editor=True,
            **streams,
        )

    def read(self, prompt: str, draft: str = "") -> str:
        """The next message, which may have several lines.

        draft: what it begins with.
        Raises: EOFError at Ctrl-D, KeyboardInterrupt at Ctrl-C.
        """
        shown = FormattedText([("", "\n"), ("bold", visible(prompt))])
        return unquote(self._session.prompt(shown, default=draft))


def _open_history() -> History:
    """The lines of earlier chats; of this one alone, where they cannot be kept."""
    file = data_dir() / "chat_history"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        with file.open("a"):
            pass
    except OSError as error:
        note(f"{file}: {error.strerror}; what is typed is not remembered")
        return InMemoryHistory()
    return FileHistory(file)


def _bindings() -> KeyBindings:
    """Enter sends, unless three quotes are open; Alt-Enter begins a new line."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
            return
        text = buffer.text
        if text.lstrip().startswith(QUOTES) and not is_closed(text):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings


class _Completer(Completer):
    """Commands at the beginning of a line, and behind each what belongs to it."""

    def __init__(self, chat: Chat):
        self._chat = chat

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """What may stand where the cursor is."""
        before = document.text_before_cursor
        is_name = " " not in before.lstrip()
        typed = before.lstrip() if is_name else typed_part(before)
        with suppress(T2Error):  # a folder that cannot be read offers nothing
            for word, said in offer_words(self._chat, before):
                yield Completion(word, start_position=-len(typed), display_meta=said)


@contextmanager
def keys_unseen() -> Iterator[None]:
    """Inside the block what is typed is not shown in the middle of an answer; it is there for
    the next line.
    """
    import termios

    try:
        before = termios.tcgetattr(sys.stdin)
    except (termios.error, ValueError, OSError):
        yield
        return
    quiet = list(before)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
