"""What a person sees. Only this file and the training's display know rich."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

stdout = Console(highlight=False, soft_wrap=True)
stderr = Console(stderr=True, highlight=False)
_BARS = "▁▂▃▄▅▆▇█"


def complain(message: str) -> None:
    """One red message on stderr."""
    stderr.print(Text(message, style="red"), soft_wrap=True)


def note(message: str) -> None:
    """A remark on stderr, beside the result."""
    stderr.print(Text(message, style="dim"), soft_wrap=True)


def say(message: str = "", style: str = "", end: str = "\n") -> None:
    """A line of the result."""
    stdout.print(Text(message, style=style), end=end)


def emit(result: dict[str, Any]) -> None:
    """The machine-readable result."""
    sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table."""
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*[Text(cell) for cell in row])
    stdout.print(drawn)


def facts(title: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one pair per line."""
    stdout.print(draw_facts(title, pairs))


def draw_facts(title: str, pairs: Iterable[tuple[str, str]]) -> Table:
    """Names and values as a table to which rows can be added."""
    drawn = Table(
        title=title, title_justify="left", title_style="bold", show_header=False, box=None
    )
    drawn.add_column(style="dim")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        drawn.add_row(name, Text(value))
    return drawn


@contextmanager
def progress(title: str, total: int) -> Iterator[Any]:
    """A bar on stderr; call what it yields once for each item done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def timed_progress(title: str, total: int) -> Iterator[Any]:
    """A bar on stderr; call what it yields with how many are done and the seconds left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=stderr, transient=True) as bar:
        task = bar.add_task(title, total=total, left="")

        def show(done: int, seconds_left: float) -> None:
            left = f"{seconds_left:.0f} s left" if seconds_left >= 0.5 else ""
            bar.update(task, completed=done, left=left)

        yield show


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
