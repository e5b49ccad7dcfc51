"""What a training shows: redrawn in place on a terminal, written line by line elsewhere."""

from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table
from rich.text import Text

from .render import draw, draw_facts, duration, percent, sparkline, stderr

if TYPE_CHECKING:
    from mlx_t2.training import StepReport

_REWARDS = 60
"""Steps of the reward's curve."""
_COMPLETIONS = 4
"""Completions of the example."""


class TrainingDisplay:
    """Shows each step of a training."""

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

    def show(self, report: "StepReport") -> None:
        """One more step is done."""
        self._rewards.append(report.reward)
        self._seconds.append(report.seconds)
        self._kl = self._kl if report.kl is None else report.kl
        if self._is_live:
            self._live.update(self._draw(report))
        elif self._is_shown:
            self._write(report)
        self._warning = report.warning

    def _write(self, report: "StepReport") -> None:
        held_out = (
            "" if report.validation is None else f"  held-out {percent(report.validation)}"
        )
        stderr.print(
            f"step {report.step}/{report.steps}  reward {report.reward:.2f}  "
            f"signal {report.signal_groups}/{report.groups}{held_out}  "
            f"{report.seconds:.1f} s"
        )
        if report.warning and report.warning != self._warning:
            stderr.print(draw(f"! {report.warning}", style="yellow"), soft_wrap=True)

    def _draw(self, report: "StepReport") -> Table:
        drawn = draw_facts(self._title, self._facts(report))
        texts, are_right = report.example["completions"], report.example["is_right"]
        for text, is_right in list(zip(texts, are_right, strict=True))[:_COMPLETIONS]:
            mark = Text("✓ ", style="green") if is_right else Text("✗ ", style="red")
            drawn.add_row("", mark + draw(text.replace("\n", "⏎")))
        if report.warning:
            drawn.add_row("", draw(report.warning, style="yellow"))
        return drawn

    def _facts(self, report: "StepReport") -> list[tuple[str, str]]:
        left = sum(self._seconds) / len(self._seconds) * (report.steps - report.step)
        return [
            ("step", f"{report.step} of {report.steps}, about {duration(left)} left"),
            ("reward", f"{sparkline(self._rewards[-_REWARDS:])} {report.reward:.2f}"),
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
                f"{report.seconds:.1f} s per step, {report.peak_gb:.1f} GB at most",
            ),
            ("mean |z - 1|", f"{report.change:.4f}"),
            ("question", report.example["question"]),
        ]
