"""What a training shows: redrawn in place on a terminal, written line by line elsewhere."""

import time
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .render import draw, draw_facts, duration, note, percent, sparkline, stderr
from .training_time import TimeLeft

if TYPE_CHECKING:
    from mlx_t2.training import Phase, StepReport, TrainConfig

T = TypeVar("T")
_REWARDS = 40
"""Steps of the reward's curve: what 80 columns have room for."""
_COMPLETIONS = 4
"""Completions of the example."""
_LONGEST = 200
"""Characters of a text that is shown."""
_BAR = 20
"""Columns of a bar."""


class PhaseLine:
    """The part of the work that is under way, in one line."""

    def __init__(self):
        self._phase: Phase | None = None
        self._began = 0.0

    def show(self, phase: "Phase | None") -> bool:
        """Whether it is another part of the work than before."""
        before, self._phase = self._phase, phase
        if before and phase and (before.name, before.step) == (phase.name, phase.step):
            return False
        self._began = time.monotonic()
        return True

    def words(self) -> str:
        """What is under way, for where nothing can be redrawn."""
        assert self._phase is not None
        step = f", step {self._phase.step}" if self._phase.step else ""
        is_long = self._phase.name.startswith(("validation", "test"))
        return self._phase.name + step + (f", {self._phase.total} problems" if is_long else "")

    def draw(self) -> RenderableType:
        """Name, bar and seconds; the bar has no end where the work is not counted."""
        phase = self._phase
        if phase is None:
            return ""
        is_counted = phase.total > 0
        seconds = duration(time.monotonic() - self._began)
        count = f"{phase.done} of {phase.total}, {seconds}" if is_counted else seconds
        bar = ProgressBar(
            total=phase.total if is_counted else None,
            completed=phase.done,
            width=_BAR,
            pulse=not is_counted,
        )
        line = Table.grid(padding=(0, 1))
        line.add_row(Text(phase.name), bar, Text(count, style="dim"))
        return line


def show_phases(work: "Generator[Phase, None, T]") -> T:
    """The result of the work, with a line for its phases while it is under way."""
    line = PhaseLine()
    with Live(get_renderable=line.draw, console=stderr, transient=True, refresh_per_second=8):
        while True:
            try:
                is_new = line.show(next(work))
            except StopIteration as end:
                line.show(None)
                return end.value
            if is_new and not stderr.is_terminal:
                note(line.words())


class TrainingDisplay:
    """Shows the phases and the steps of a training."""

    def __init__(self, title: str, config: "TrainConfig", is_shown: bool = True):
        """is_shown: off for all machines but the first."""
        self._title, self._is_shown = title, is_shown
        self._is_live = is_shown and stderr.is_terminal
        self._is_working = True
        self._line, self._left = PhaseLine(), TimeLeft(config)
        self._steps = config.steps
        self._rewards: list[float] = []
        self._report: StepReport | None = None
        self._kl: float | None = None
        self._warning: str | None = None
        self._live = Live(get_renderable=self._draw, console=stderr, refresh_per_second=8)

    def __enter__(self) -> "TrainingDisplay":
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_working = False
        if self._is_live:
            self._live.stop()

    def watch(self, events: "Iterable[Phase | StepReport]") -> "Iterator[StepReport]":
        """Show all that happens; the reports of the steps, as they are made."""
        from mlx_t2.training import Phase

        for event in events:
            if isinstance(event, Phase):
                self.show_phase(event)
            else:
                self.show(event)
                yield event

    def show_phase(self, phase: "Phase") -> None:
        """A part of the work has begun, or has got on."""
        is_new = self._line.show(phase)
        self._left.see_phase(phase)
        if phase.found and self._is_shown:
            note(phase.found)
        is_known = phase.name in ("sampling", "gradient") and self._rewards
        # named once in a log: a night's is long enough
        if is_new and not is_known and self._is_shown and not self._is_live:
            note(self._line.words())

    def show(self, report: "StepReport") -> None:
        """One more step is done."""
        self._left.see_step(report)
        self._rewards.append(report.reward)
        self._kl = self._kl if report.kl is None else report.kl
        self._report = report
        if self._is_shown and not self._is_live:
            self._write(report)
        self._warning = report.warning

    def _write(self, report: "StepReport") -> None:
        held_out = (
            "" if report.validation is None else f"  held-out {percent(report.validation)}"
        )
        stderr.print(
            f"step {report.step}/{report.steps}  reward {report.reward:.2f}  "
            f"signal {report.signal_groups}/{report.groups}{held_out}  "
            f"{report.seconds:.1f} s, {self._time_left()}",
            soft_wrap=True,
        )
        if report.warning and report.warning != self._warning:
            stderr.print(draw(f"! {report.warning}", style="yellow"), soft_wrap=True)

    def _draw(self) -> Table:
        report = self._report
        drawn = draw_facts(self._title, [])
        if self._is_working:
            drawn.add_row("now", self._line.draw())
        step = f"{report.step if report else 0} of {self._steps} done"
        left = f", {self._time_left()}" if self._is_working else ""
        drawn.add_row("step", Text(step + left))
        if report is None:
            return drawn
        for name, value in self._facts(report):
            drawn.add_row(name, draw(value))
        for line in _draw_completions(report.example):
            drawn.add_row("", line)
        if report.warning:
            drawn.add_row("", draw(report.warning, style="yellow"))
        return drawn

    def _time_left(self) -> str:
        left = self._left.seconds()
        if left is None:
            return "time left is known after the first one"
        return f"about {duration(max(1, left))} left"

    def _facts(self, report: "StepReport") -> list[tuple[str, str]]:
        return [
            ("reward", f"{sparkline(self._rewards[-_REWARDS:])} {report.reward:.2f}"),
            (
                "held-out accuracy",
                f"{percent(report.base_validation)} before, "
                f"best so far {percent(report.best_validation)}",
            ),
            ("KL from the base", "" if self._kl is None else f"{self._kl:.3f} nats"),
            ("problems with signal", f"{report.signal_groups} of {report.groups}"),
            *self._sampling_facts(report),
            ("mean |z - 1|", f"{report.change:.4f}"),
            ("question", _shorten(report.example["question"])),
        ]

    def _sampling_facts(self, report: "StepReport") -> list[tuple[str, str]]:
        """Options are scored, not written: none is cut off."""
        is_choice = "probabilities" in report.example
        of, done = ("the policy", "scored") if is_choice else ("completions", "sampled")
        answer = f"{_shorten(report.commonest)!r}, {percent(report.commonest_share)} of {of}"
        cut_off = [("cut off", f"{report.truncated} completions")]
        return [
            ("most common answer", answer),
            *([] if is_choice else cut_off),
            (
                "speed",
                f"{report.tokens / report.sampling_seconds:.0f} tokens/s {done}, "
                f"{report.seconds:.1f} s per step, {report.peak_gb:.1f} GB at most",
            ),
        ]


def _draw_completions(example: dict[str, Any]) -> list[Text]:
    """The first completions of the example; options with their probabilities."""
    texts, are_right = example["completions"], example["is_right"]
    shares = example.get("probabilities")
    before = [f"{percent(share)} " for share in shares] if shares else [""] * len(texts)
    lines = []
    for share, text, is_right in list(zip(before, texts, are_right, strict=True))[
        :_COMPLETIONS
    ]:
        mark = Text("✓ ", style="green") if is_right else Text("✗ ", style="red")
        lines.append(mark + draw(share + _shorten(text)))
    return lines


def _shorten(text: str) -> str:
    """On one line, and no longer than there is room for."""
    flat = text.replace("\n", "⏎")
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"
