"""Two answers that arrive together, beside each other or one below the other. A row of both is
printed when neither side changes it any more, so nothing is painted over.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from ..render import is_terminal, stdout
from ..terminal import LineBreaker, measure

WIDE = 100
"""Columns of a terminal from which on answers are side by side."""
_GAP = "  │  "


def show_answers(titles: Sequence[str], tokens: Iterable[tuple[int, Any]]) -> None:
    """(which answer, its next token) as they arrive, under the titles."""
    if len(titles) == 2 and is_terminal(stdout) and stdout.width >= WIDE:
        _show_beside(titles, tokens)
    else:
        _show_below(titles, tokens)


def _show_below(titles: Sequence[str], tokens: Iterable[tuple[int, Any]]) -> None:
    """The first as it arrives, the others after it: they are there by then."""
    breakers = [_breaker() for _ in titles]
    waiting = [""] * len(titles)
    ended = [False] * len(titles)
    shown = 0
    _write(f"{titles[0]}\n")
    try:
        for index, token in tokens:
            waiting[index] += breakers[index].feed(token.text)
            ended[index] = token.finish_reason is not None
            _write(waiting[shown])
            waiting[shown] = ""
            while shown + 1 < len(titles) and ended[shown]:
                _write(f"{breakers[shown].finish()}\n\n{titles[shown + 1]}\n")
                shown += 1
                _write(waiting[shown])
                waiting[shown] = ""
    finally:
        for index in range(shown, len(titles)):
            start = f"\n\n{titles[index]}\n" if index > shown else ""
            _write(start + waiting[index] + breakers[index].finish())
        _write("\n")


def _show_beside(titles: Sequence[str], tokens: Iterable[tuple[int, Any]]) -> None:
    width = (stdout.width - len(_GAP)) // 2
    sides = [_Side(width, title) for title in titles]
    printed = 0
    try:
        for index, token in tokens:
            sides[index].feed(token.text, token.finish_reason is not None)
            printed = _print_rows(sides, width, printed)
    finally:
        for side in sides:
            side.feed("", True)
        _print_rows(sides, width, printed)


class _Side:
    """The lines of one answer."""

    def __init__(self, width: int, title: str):
        self._breaker = LineBreaker(width)
        self._width = width
        self.lines = [title, ""]
        self.has_ended = False

    @property
    def ready(self) -> int:
        """How many lines change no more."""
        return len(self.lines) if self.has_ended else len(self.lines) - 1

    def feed(self, text: str, ends: bool) -> None:
        """More of the answer."""
        if self.has_ended:
            return
        shown = self._breaker.feed(text) + (self._breaker.finish() if ends else "")
        first, *rest = shown.expandtabs().replace("\r", "").split("\n")
        self.lines[-1] += first
        self.lines += rest
        self.has_ended = ends
        while measure(self.lines[-1]) > self._width:  # a word longer than a line
            line = self.lines[-1]
            cut = next(i for i in range(1, len(line) + 1) if measure(line[:i]) >= self._width)
            cut -= measure(line[:cut]) > self._width
            self.lines[-1:] = [line[:cut], line[cut:]]


def _print_rows(sides: Sequence[_Side], width: int, printed: int) -> int:
    """Print the rows that are ready; how many have been printed now."""
    longest = max(len(side.lines) for side in sides)
    ready = min(longest if side.has_ended else side.ready for side in sides)
    for row in range(printed, ready):
        left, right = (s.lines[row] if row < len(s.lines) else "" for s in sides)
        _write(f"{left}{' ' * (width - measure(left))}{_GAP}{right}\n")
    return max(printed, ready)


def _breaker() -> "LineBreaker | _AsItIs":
    return LineBreaker(stdout.width) if is_terminal(stdout) else _AsItIs()


class _AsItIs:
    """Where no person looks, text is left alone."""

    def feed(self, piece: str) -> str:
        return piece

    def finish(self) -> str:
        return ""


def _write(text: str) -> None:
    stdout.file.write(text)
    stdout.file.flush()
