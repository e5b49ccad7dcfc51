"""Messages from a terminal that can do nothing but lines, or from a pipe. A text between lines
of three quotes is one message.
"""

import sys

from ..question import unreadable

QUOTES = '"""'


class Lines:
    """Reads a line at a time."""

    def __init__(self, is_person: bool):
        """is_person: somebody types, and sees a prompt."""
        self._is_person = is_person

    def read(self, prompt: str, draft: str = "") -> str:
        """The next message; a draft cannot be shown.

        Raises: EOFError at the end; FileError where nothing can be read.
        """
        line = self._read_line(prompt)
        if not line.lstrip().startswith(QUOTES) or is_closed(line):
            return unquote(line)
        lines = [line]
        while not is_closed("\n".join(lines)):
            try:
                lines.append(self._read_line("… "))
            except EOFError:
                break
        return unquote("\n".join(lines))

    def _read_line(self, prompt: str) -> str:
        try:
            if self._is_person:
                return input(prompt)
            line = sys.stdin.readline()
        except (OSError, UnicodeDecodeError) as error:
            raise unreadable(error, "the lines of a chat") from error
        if not line:
            raise EOFError
        return line.rstrip("\r\n")


def is_closed(text: str) -> bool:
    """Whether a text that begins with three quotes ends with them, too.

    >>> is_closed('\"\"\"one'), is_closed('\"\"\"one\"\"\"'), is_closed('\"\"\"')
    (False, True, False)
    """
    inner = text.strip()
    return len(inner) >= 2 * len(QUOTES) and inner.endswith(QUOTES)


def unquote(text: str) -> str:
    """The message: without the quotes around it, where it has some.

    >>> unquote('\"\"\"\\none\\ntwo\\n\"\"\"'), unquote("  hello ")
    ('one\\ntwo', 'hello')
    """
    inner = text.strip()
    if not inner.startswith(QUOTES):
        return inner
    inner = inner.removeprefix(QUOTES)
    return inner.removesuffix(QUOTES).strip("\r\n")
