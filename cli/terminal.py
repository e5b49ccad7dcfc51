"""Text from outside on a terminal: it moves no cursor, and its lines break between words.

Knows characters and columns; does not know where they are written.
"""

import re
import unicodedata

_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u202a-\u202e\u2066-\u2069"  # the direction of writing, overridden
    "\ud800-\udfff]"  # bytes of file names that are not text
    "|\r(?!\n)"
)
_WORDS = re.compile("[\u2e80-\U0010ffff]|[^\\s\u2e80-\U0010ffff]+|\\s")
"""Scripts of the far east and pictures break between any two characters."""


def visible(text: str) -> str:
    r"""Control characters as escapes; newlines and tabs stay.

    >>> print(visible("\x1b[2Jgone\n"), end="")
    \x1b[2Jgone
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


class LineBreaker:
    """Puts line breaks between words of a text that arrives in pieces. A word that is longer
    than a line is left to the terminal, which lets it be copied as one.
    """

    def __init__(self, width: int):
        self.width = max(1, width)
        """Columns of a line from now on."""
        self._column = 0
        self._carriage_return = ""
        self._word = ""

    def feed(self, piece: str) -> str:
        """What can be shown: all but a last word that may go on."""
        piece = self._carriage_return + piece
        self._carriage_return = "\r" if piece.endswith("\r") else ""  # a newline may follow
        words = _WORDS.findall(self._word + visible(piece.removesuffix("\r")))
        self._word = ""
        if words and _may_go_on(words[-1]) and len(words[-1]) < self.width:
            self._word = words.pop()
        return "".join(map(self._place, words))

    def finish(self) -> str:
        """The rest."""
        return self._place(self._word) + visible(self._carriage_return)

    def _place(self, word: str) -> str:
        if word == "\n":
            self._column = 0
            return word
        columns = 8 - self._column % 8 if word == "\t" else measure(word)
        if not word or self._column + columns <= self.width:
            self._column += columns
            return word
        if word.isspace():
            self._column = self.width
            return ""
        is_new_line, self._column = self._column > 0, columns
        return "\n" + word if is_new_line else word


def _may_go_on(word: str) -> bool:
    return not word.isspace() and word[0] < "\u2e80"


def break_lines(text: str, width: int) -> str:
    """A whole text, made visible and broken between words.

    >>> break_lines("one two three", 8)
    'one two \\nthree'
    """
    breaker = LineBreaker(width)
    return breaker.feed(text) + breaker.finish()


def measure(word: str) -> int:
    """Columns that a word takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in word
    )
