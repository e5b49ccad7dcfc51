"""Markdown that arrives in pieces: finished blocks are printed for good, and only the block
that is still open is painted over. Knows blocks and lines; does not know who writes.
"""

import re
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.markdown import Markdown

from .terminal import break_lines, measure, visible

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_STYLE = re.compile(r"\x1b\[[\d;]*m")
_UP_AND_CLEAR = "\x1b[{}A\r\x1b[J"


class BlockSplitter:
    """Cuts a text into blocks that are rendered alike alone: a heading, a fenced program, or
    lines up to a blank one.
    """

    def __init__(self):
        self._line = ""
        self._block: list[str] = []
        self._fence = ""

    @property
    def open(self) -> str:
        """The block that is not finished."""
        return "\n".join([*self._block, self._line])

    def feed(self, piece: str) -> Iterator[str]:
        """The blocks that this piece ends."""
        *lines, self._line = (self._line + piece).split("\n")
        for line in lines:
            yield from self._add(line.removesuffix("\r"))

    def finish(self) -> Iterator[str]:
        """The last block."""
        line, self._line = self._line, ""
        yield from self._add(line)
        yield from self._end()

    def _add(self, line: str) -> Iterator[str]:
        fence = _FENCE.match(line)
        if self._fence:
            self._block.append(line)
            if fence and line.strip() == fence[1] and fence[1].startswith(self._fence):
                yield from self._end()
        elif not line.strip():
            yield from self._end()
        elif fence:
            yield from self._end()
            self._fence = fence[1]
            self._block.append(line)
        elif line.startswith("#"):
            yield from self._end()
            yield line
        else:
            self._block.append(line)

    def _end(self) -> Iterator[str]:
        block, self._block, self._fence = self._block, [], ""
        if block:
            yield "\n".join(block)


class BlockPainter:
    """Paints the open block as it stands, its last lines where it is higher than the screen,
    and replaces it with the rendered one when it is finished.
    """

    def __init__(self, console: Console):
        self._console = console
        self._splitter = BlockSplitter()
        self._painted: list[str] = []
        """The lines of the open block on the screen."""
        self._is_first = True

    def paint(self, pieces: Iterable[str]) -> None:
        """Show the pieces as they arrive. What was painted stays where they stop."""
        try:
            for piece in pieces:
                blocks = list(self._splitter.feed(piece))
                if blocks:
                    self._print_all(blocks)
                self._paint_open()
        finally:
            self._print_all(self._splitter.finish())

    def _print_all(self, blocks: Iterable[str]) -> None:
        self._erase()
        for block in blocks:
            start = "" if self._is_first else "\n"
            self._is_first = False
            self._console.file.write(start + self._render(block))
        self._console.file.flush()

    def _render(self, block: str) -> str:
        """The block as Markdown, without blank lines around it."""
        with self._console.capture() as captured:
            self._console.print(
                Markdown(visible(block), hyperlinks=False, code_theme="ansi_dark"),
                width=self._console.width,
            )
        lines = captured.get().split("\n")
        shown = [i for i, line in enumerate(lines) if _STYLE.sub("", line).strip()]
        return "".join(f"{line}\n" for line in lines[shown[0] : shown[-1] + 1]) if shown else ""

    def _paint_open(self) -> None:
        text = self._splitter.open
        lines = break_lines(text, self._console.width).split("\n") if text.strip() else []
        lines = lines[-max(1, self._console.height - 2) :]
        if lines == self._painted:
            return
        self._erase()
        if lines:
            self._console.file.write("\n".join(lines) + "\n")
            self._console.file.flush()
        self._painted = lines

    def _erase(self) -> None:
        """Take the open block off, as many rows as it has now: the screen may be narrower than
        it was.
        """
        width = max(1, self._console.width)
        rows = sum(max(1, -(-measure(line) // width)) for line in self._painted)
        if rows:
            self._console.file.write(_UP_AND_CLEAR.format(rows))
        self._painted = []
