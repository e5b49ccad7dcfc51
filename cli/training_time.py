"""How long a training has still to go: steps, validations and the test, each at the pace seen
so far. Knows reports and a clock; draws nothing.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlx_t2.training import Phase, StepReport, TrainConfig

_TESTS_AHEAD = {"test before": 1, "test after": 0}
"""Passes over the test problems that are still to begin in a phase; two before them."""


class TimeLeft:
    """The seconds that are left of a training, from what its reports show."""

    def __init__(self, config: "TrainConfig", clock: Callable[[], float] = time.monotonic):
        self._config, self._clock = config, clock
        self._phase: Phase | None = None
        self._seen_at = 0.0
        self._step = 0
        self._steps: list[float] = []
        self._answered, self._answering = 0, 0.0
        self._sampled, self._sampling = 0, 0.0

    def see_phase(self, phase: "Phase") -> None:
        """Work has begun, or has got on."""
        before, now = self._phase, self._clock()
        if before and before.name == phase.name and _is_answering(phase):
            self._answered += phase.done - before.done
            self._answering += now - self._seen_at
        self._phase, self._seen_at = phase, now
        if phase.step:
            self._step = phase.step - 1
        elif phase.name in _TESTS_AHEAD:
            self._step = self._config.steps

    def see_step(self, report: "StepReport") -> None:
        """A step is done."""
        self._phase, self._step = None, report.step
        self._steps.append(report.sampling_seconds + report.gradient_seconds)
        is_choice = "probabilities" in report.example  # scored once, whatever the group
        self._sampled += self._config.prompts * (1 if is_choice else self._config.group)
        self._sampling += report.sampling_seconds

    def seconds(self) -> float | None:
        """None before the first step is done: nobody knows yet."""
        steps = self._config.steps - self._step
        if not self._steps and steps:
            return None
        pace = sum(self._steps) / len(self._steps) if self._steps else 0.0
        return max(0.0, steps * pace) + self._problems_ahead() * self._seconds_per_problem()

    def _seconds_per_problem(self) -> float:
        """As validations took; before the first one, as sampling did."""
        if self._answered:
            return self._answering / self._answered
        return self._sampling / self._sampled if self._sampled else 0.0

    def _problems_ahead(self) -> int:
        config, phase, last = self._config, self._phase, self._step
        open_now = 0
        if phase and _is_answering(phase):
            open_now = phase.total - phase.done
            last = max(last, phase.step)
        every, steps = config.eval_every, config.steps
        validations = steps // every - last // every + (last < steps and steps % every > 0)
        tests = _TESTS_AHEAD.get(phase.name, 2) if phase else 2
        return open_now + validations * config.validation + tests * config.test


def _is_answering(phase: "Phase") -> bool:
    return phase.name.startswith(("validation", "test"))
