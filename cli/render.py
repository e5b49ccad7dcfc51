"""What a person sees. Only this file, the painter and the training's display
know rich."""

import codecs
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from .terminal import LineBreaker, break_lines, visible

stdout = Console(highlight=False, soft_wrap=True)
stderr = Console(stderr=True, highlight=False)
_NARROW = 60
"""Columns below which no table is drawn."""
_BARS = "▁▂▃▄▅▆▇█"


def draw(text: str, style: str = "") -> Text:
    """Text from outside as part of a table or display: no markup, no control characters."""
    return Text(visible(text), style=style)


def is_terminal(console: Console) -> bool:
    """A person looks at it, whatever the environment says of colours."""
    return console.file.isatty()


def complain(message: str) -> None:
    """One red message on stderr."""
    _print_line(stderr, message, "red")


def note(message: str) -> None:
    """A remark on stderr, beside the result."""
    _print_line(stderr, message, "dim")


def say(message: str = "", style: str = "") -> None:
    """A line of the result."""
    _print_line(stdout, message, style)


def _print_line(console: Console, message: str, style: str) -> None:
    """On a terminal made visible, styled and broken between words; elsewhere as it is."""
    if is_terminal(console):
        console.print(Text(break_lines(message, console.width), style=style), soft_wrap=True)
    else:
        console.file.write(message + "\n")
        console.file.flush()


def stream(pieces: Iterable[str], is_markdown: bool = False) -> None:
    """A model's text as it arrives: byte for byte, but on a terminal as `draw` has it, or
    rendered where it is Markdown and the terminal can do more than lines.
    """
    if not is_terminal(stdout):
        for piece in pieces:
            _write_now(piece)
        return
    if is_markdown and not stdout.is_dumb_terminal:
        from .painter import BlockPainter

        BlockPainter(stdout).paint(pieces)
        return
    breaker = LineBreaker(stdout.width)
    try:
        for piece in pieces:
            breaker.width = max(1, stdout.width)  # whoever looks may resize the window
            _write_now(breaker.feed(piece))
    finally:
        _write_now(breaker.finish())


def _write_now(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def emit(result: dict[str, Any]) -> None:
    """The machine-readable result, in UTF-8, or in ASCII where that cannot be written."""
    line = json.dumps(result, ensure_ascii=False) + "\n"
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # a text in memory has none
    if codecs.lookup(encoding).name != "utf-8" or re.search("[\ud800-\udfff]", line):
        line = json.dumps(result) + "\n"
    sys.stdout.write(line)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; on a narrow terminal, where its words would be broken, the cells of each row
    below each other.
    """
    if stdout.width < _NARROW:
        for index, row in enumerate(rows):
            pairs = [pair for pair in zip(columns, row, strict=True) if pair[1]]
            stdout.print(draw_facts("" if index else title, pairs), "")
        return
    drawn = Table(
        title=draw(title), title_justify="left", title_style="bold", header_style="bold"
    )
    for column in columns:
        drawn.add_column(draw(column), overflow="fold")
    for row in rows:
        drawn.add_row(*map(draw, row))
    stdout.print(drawn)


def facts(title: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one pair per line."""
    stdout.print(draw_facts(title, pairs))


def draw_facts(title: str, pairs: Iterable[tuple[str, str]]) -> Table:
    """Names and values as a table to which rows can be added."""
    drawn = Table(
        title=draw(title), title_justify="left", title_style="bold", show_header=False, box=None
    )
    drawn.add_column(style="dim")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        drawn.add_row(draw(name), draw(value))
    return drawn


@contextmanager
def spinner(title: str) -> Iterator[None]:
    """Something that turns on stderr, where a person looks at it."""
    if not is_terminal(stderr) or stderr.is_dumb_terminal:
        yield
        return
    with stderr.status(draw(title)):
        yield


@contextmanager
def progress(title: str, total: int) -> Iterator[Any]:
    """A bar on stderr; call what it yields for each item done, or with how many were."""
    with _bar(TimeRemainingColumn()) as bar:
        task = bar.add_task(visible(title), total=total)
        yield lambda items=1: bar.advance(task, items)


@contextmanager
def timed_progress(title: str, total: int) -> Iterator[Any]:
    """A bar on stderr; call what it yields with how many are done and the seconds left."""
    with _bar(TextColumn("{task.fields[left]}", markup=False)) as bar:
        task = bar.add_task(visible(title), total=total, left="")

        def show(done: int, seconds_left: float) -> None:
            left = f"{seconds_left:.0f} s left" if seconds_left >= 0.5 else ""
            bar.update(task, completed=done, left=left)

        yield show


def _bar(last: ProgressColumn) -> Progress:
    """A bar that leaves nothing behind, and shows nothing where nobody looks."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        last,
        console=stderr,
        transient=True,
        disable=not is_terminal(stderr) or stderr.is_dumb_terminal,
    )


def sparkline(values: Sequence[float]) -> str:
    """Values between 0 and 1 as a row of bars."""
    return "".join(_BARS[min(7, max(0, round(7 * value)))] for value in values)


def duration(seconds: float) -> str:
    """95 → 1 min 35 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(count: float) -> str:
    """Bytes: 230_000 → 0.23 MB, 2_100_000_000 → 2.10 GB."""
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"


def percent(share: float) -> str:
    """0.257 → 25.7 %."""
    return f"{100 * share:.1f} %"


def interval(bounds: Sequence[float]) -> str:
    """A 95 % interval."""
    return f"{100 * bounds[0]:.0f}-{100 * bounds[1]:.0f}"
