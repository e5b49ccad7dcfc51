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


def duration(seconds: float) -> str:
    """95 → 1 min 35 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


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

    def __init__(self, title: str, is_shown: bool = True):
        """is_shown: off for all machines but the first."""
        self._title, self._is_shown = title, is_shown
        self._is_live = is_shown and stderr.is_terminal
        self._rewards: list[float] = []
        self._seconds: list[float] = []
        self._kl: float | None = None
        self._warning: str | None = None
        self._live = Live(console=stderr, refresh_per_second=4, transient=False)

    def __enter__(self) -> "TrainingDisplay":
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_live:
            self._live.stop()

    def show(self, report: Any) -> None:
        """One more step is done."""
        self._rewards.append(report.reward)
        self._seconds.append(report.seconds)
        self._kl = self._kl if report.kl is None else report.kl
        if self._is_live:
            self._live.update(self._drawn(report))
        elif self._is_shown:
            held_out = (
                "" if report.validation is None else f"  held-out {percent(report.validation)}"
            )
            stderr.print(
                f"step {report.step}/{report.steps}  reward {report.reward:.2f}  "
                f"signal {report.signal_groups}/{report.groups}{held_out}  "
                f"{report.seconds:.1f} s"
            )
            if report.warning and report.warning != self._warning:
                stderr.print(Text(f"! {report.warning}", style="yellow"), soft_wrap=True)
        self._warning = report.warning

    def _drawn(self, report: Any) -> Group:
        left = sum(self._seconds) / len(self._seconds) * (report.steps - report.step)
        rows = (
            ("step", f"{report.step} of {report.steps}, about {duration(left)} left"),
            ("reward", f"{sparkline(self._rewards[-60:])} {report.reward:.2f}"),
            (
                "held-out accuracy",
                f"{percent(report.base_validation)} before, "
                f"best so far {percent(report.best_validation)}",
            ),
            ("KL from the base", "" if self._kl is None else f"{self._kl:.3f} nats"),
            ("problems with signal", f"{report.signal_groups} of {report.groups}"),
            (
                "commonest answer",
                f"{report.commonest!r}, {percent(report.commonest_share)} of completions",
            ),
            ("cut off", f"{report.truncated} completions"),
            (
                "speed",
                f"{report.tokens / report.sampling_seconds:.0f} tokens/s sampled, "
                f"{report.seconds:.1f} s a step, {report.peak_gb:.1f} GB at most",
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
        for text, is_right in list(
            zip(report.sample["completions"], report.sample["is_right"], strict=True)
        )[:4]:
            mark = Text("✓ ", style="green") if is_right else Text("✗ ", style="red")
            grid.add_row("", mark + Text(text.replace("\n", "⏎")))
        if report.warning:
            grid.add_row("", Text(report.warning, style="yellow"))
        return Group(grid)
