"""What a person sees. The only file that knows rich."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
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
    """Names and values, one pair a line."""
    drawn = Table(
        title=title, title_justify="left", title_style="bold", show_header=False, box=None
    )
    drawn.add_column(style="dim")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        drawn.add_row(name, Text(value))
    stdout.print(drawn)


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


def percent(share: float) -> str:
    """0.257 → 25.7 %."""
    return f"{100 * share:.1f} %"


def interval(bounds: Sequence[float]) -> str:
    """A 95 % interval."""
    return f"{100 * bounds[0]:.0f}-{100 * bounds[1]:.0f}"


class TrainingDisplay:
    """The state of a training, redrawn in place on a terminal and written line by line
    elsewhere.
    """

    def __init__(self, title: str):
        self._title = title
        self._rewards: list[float] = []
        self._live = Live(console=stderr, refresh_per_second=4, transient=False)

    def __enter__(self) -> "TrainingDisplay":
        if stderr.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if stderr.is_terminal:
            self._live.stop()

    def show(self, report: Any) -> None:
        """One more step is done."""
        self._rewards.append(report.reward)
        if stderr.is_terminal:
            self._live.update(self._drawn(report))
        else:
            held_out = (
                "" if report.validation is None else f"  held-out {percent(report.validation)}"
            )
            stderr.print(
                f"step {report.step}/{report.steps}  reward {report.reward:.2f}  "
                f"signal {report.signal_groups}/{report.groups}{held_out}  "
                f"{report.seconds:.1f} s"
            )

    def _drawn(self, report: Any) -> Group:
        left = report.seconds * (report.steps - report.step)
        rows = (
            ("step", f"{report.step} of {report.steps}, about {left:.0f} s left"),
            ("reward", f"{sparkline(self._rewards[-60:])} {report.reward:.2f}"),
            (
                "held-out accuracy",
                f"{percent(report.base_validation)} before, "
                f"best so far {percent(report.best_validation)}",
            ),
            ("problems with signal", f"{report.signal_groups} of {report.groups}"),
            ("cut off", f"{report.truncated} completions"),
            (
                "speed",
                f"{report.tokens / report.seconds:.0f} tokens/s, {report.seconds:.1f} s a step",
            ),
            ("mean |z - 1|", f"{report.change:.4f}"),
            ("question", report.sample["question"]),
        )
        grid = Table(
            title=self._title,
            title_justify="left",
            title_style="bold",
            show_header=False,
            box=None,
        )
        grid.add_column(style="dim")
        grid.add_column(overflow="fold")
        for name, value in rows:
            grid.add_row(name, Text(value))
        for text, reward in list(
            zip(report.sample["completions"], report.sample["rewards"], strict=True)
        )[:4]:
            mark = Text("✓ ", style="green") if reward > 0 else Text("✗ ", style="red")
            grid.add_row("", mark + Text(text.replace("\n", "⏎")))
        return Group(grid)
