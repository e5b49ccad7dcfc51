"""Tokens → the text of an answer, piece by piece: whole characters alone, and nothing of a text
that ends it. Knows no model.
"""

from collections import deque
from collections.abc import Callable, Sequence

from .order import TokenScore

_OPEN = 3
"""A character that is not complete decodes to this many U+FFFD at most."""
_WINDOW = 16
"""Tokens that are decoded again with each one, at least half of them for their context."""


class Characters:
    """Tokens → text as it becomes certain: what is joined is what all tokens decode to."""

    def __init__(self, decode: Callable[[Sequence[int]], str]):
        self._decode = decode
        self._tokens: list[int] = []
        self._sent = 0
        """Signs of what these decode to that have been given out."""
        self._clean = 0
        """Tokens that ended in a whole character the last time."""

    def take(self, token: int) -> str:
        """The text that is certain now and was not before."""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        certain = _without_open(text)
        segment, self._sent = text[self._sent : certain], max(certain, self._sent)
        if certain == len(text):
            if len(self._tokens) >= _WINDOW and self._clean:
                self._tokens = self._tokens[self._clean :]
                self._sent = len(self._decode(self._tokens))
                self._clean = 0
            if not self._clean or len(self._tokens) <= _WINDOW // 2:
                self._clean = len(self._tokens)
        return segment

    def finish(self) -> str:
        """The rest: a character that was never completed."""
        text = self._decode(self._tokens)
        segment, self._sent = text[self._sent :], len(text)
        return segment


def _without_open(text: str) -> int:
    """How many signs of it no further token changes."""
    stripped = len(text.rstrip("\ufffd"))
    return max(stripped, len(text) - _OPEN)


class StopCut:
    """Text up to the first of some stop texts. Of several, the one that is complete first
    counts; the longest of those.
    """

    def __init__(self, stops: Sequence[str]):
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        """What may yet become a stop."""
        self.is_stopped = False

    def feed(self, text: str) -> str:
        """More text; returns what is certain to be no part of a stop."""
        if self.is_stopped or not self._stops:
            return "" if self.is_stopped else text
        text = self._held + text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.is_stopped, self._held = True, ""
            return text[: min(found)[1]]
        held = max(find_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """What was held back, where no more text follows."""
        text, self._held = self._held, ""
        return text


def find_overlap(text: str, stop: str) -> int:
    """The longest end of the text that a stop begins with, short of all of it [characters].

    >>> find_overlap("the stopping st", "stop"), find_overlap("stop", "stop")
    (2, 0)
    """
    for count in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:count]):
            return count
    return 0


class AnswerText:
    """The text of one answer, and the scores of the tokens that it is made of."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str]):
        self._characters, self._cut = Characters(decode), StopCut(stops)
        self._made = 0
        """Signs so far, those among them that are held back."""
        self._sent = 0
        self._waiting: deque[tuple[int, TokenScore]] = deque()
        """(where its text begins, score) of tokens whose text is not given out yet."""

    @property
    def is_stopped(self) -> bool:
        """A stop text ended it."""
        return self._cut.is_stopped

    def take(self, token: int, score: TokenScore | None) -> tuple[str, list[TokenScore]]:
        """One more token; returns what can be given out."""
        if score is not None:
            self._waiting.append((self._made, score))
        return self._give(self._characters.take(token))

    def finish(self) -> tuple[str, list[TokenScore]]:
        """No more tokens; returns the rest."""
        text, scores = self._give(self._characters.finish())
        if not self.is_stopped:
            rest = self._cut.finish()
            text, self._sent = text + rest, self._sent + len(rest)
            scores += [score for _, score in self._waiting]
            self._waiting.clear()
        return text, scores

    def _give(self, segment: str) -> tuple[str, list[TokenScore]]:
        self._made += len(segment)
        text = self._cut.feed(segment)
        self._sent += len(text)
        scores = []
        while self._waiting and self._waiting[0][0] < self._sent:
            scores.append(self._waiting.popleft()[1])
        return text, scores
