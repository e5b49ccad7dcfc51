"""An answer's text → what the model says, and what it thinks before. Knows texts; knows no
model and no tokens.
"""

from .order import Tags
from .text import find_overlap


class ThinkSplit:
    """Thoughts and what is said, as text arrives in pieces of any size.

    A block is one only where the answer begins with it: tags that come later are part of what
    is said. White space on both sides of a tag belongs to nobody. Text that may yet become a
    tag is held back.

        >>> split = ThinkSplit(Tags("<t>", "</t>"))
        >>> [split.feed(text) for text in ("<", "t>\\nHm", "m.\\n</", "t>\\n\\nYes.")]
        [('', ''), ('Hm', ''), ('m.', ''), ('', 'Yes.')]
    """

    def __init__(self, tags: Tags | None):
        """tags: None for a model that does not think: all of it is said."""
        self._tags = tags
        self._held = ""
        self._is_undecided = tags is not None and not tags.is_open
        self._is_open = tags is not None and tags.is_open
        self._is_at_edge = self._is_open

    def feed(self, text: str, is_last: bool = False) -> tuple[str, str]:
        """(more thoughts, more that is said), as far as they are certain.

        is_last: nothing follows, and nothing is held back.
        """
        text, self._held = self._held + text, ""
        if self._tags is None:
            return "", text
        if self._is_undecided:
            text = self._decide(text, self._tags.start, is_last)
        thought = ""
        if self._is_open:
            thought, text = self._cut(text, self._tags.end, is_last)
        if self._is_at_edge and not self._is_open:
            text = text.lstrip()
            self._is_at_edge = not text
        return thought, text

    def _decide(self, text: str, start: str, is_last: bool) -> str:
        """Whether a block begins; returns what is behind its tag, or all of the text."""
        begun = text.lstrip()
        if start.startswith(begun) and begun != start and not is_last:
            self._held = text
            return ""
        self._is_undecided = False
        if not begun.startswith(start):
            return text
        self._is_open = self._is_at_edge = True
        return begun[len(start) :]

    def _cut(self, text: str, end: str, is_last: bool) -> tuple[str, str]:
        """(thoughts, what is behind the block) of text that begins within it."""
        if self._is_at_edge:
            text = text.lstrip()
        thought, tag, said = text.partition(end)
        if tag:
            self._is_open, self._is_at_edge = False, True
            return thought.rstrip(), said
        certain = text if is_last else text[: len(text) - find_overlap(text, end)].rstrip()
        self._held = text[len(certain) :]
        self._is_at_edge = self._is_at_edge and not certain
        return certain, ""
