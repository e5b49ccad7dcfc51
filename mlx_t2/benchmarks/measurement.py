"""How two sides are measured in one run. Knows clocks and memory; knows no models."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

DEFAULT_MODEL = "smollm2-135m"
"""The model that suites measure unless told another."""


@dataclass(frozen=True)
class Measurement:
    """One quantity: ours beside another's."""

    name: str
    ours: float
    other: float | None
    """None where there is nothing to compare with."""
    against: str
    """What the other side is."""
    unit: str = "s"
    """`s`, `MB` and `tokens`: less is better; `tokens/s`: more is better; or `relative error`,
    or `logits` (how many differ), or `of 1`.
    """
    target: str = ""
    """What the ratio should be; where there is no other side, what ours should be."""

    @property
    def ratio(self) -> float | None:
        """How many times as good as the other: 2 is half the time, or twice the rate."""
        if self.other is None or not self.ours or not self.other:
            return None
        return self.ours / self.other if self.unit == "tokens/s" else self.other / self.ours


def interleave(
    ours: Callable[[], object], other: Callable[[], object], runs: int, warm: bool = True
) -> tuple[float, float]:
    """Median seconds of both, run in turn, after one run of each that is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for counted in range(-1 if warm else 0, runs):
        for kept, work in zip(times, (ours, other), strict=True):
            start = time.perf_counter()
            work()
            if counted >= 0:
                kept.append(time.perf_counter() - start)
    return median(times[0]), median(times[1])


# The peak that getrusage reports is inherited from the parent process; this one is our own.
_MEMORY = """
def memory(name):
    if name == 'VmRSS':
        open('/proc/self/clear_refs', 'w').write('5')  # the peak starts here
    lines = open('/proc/self/status').read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ':')) / 1e3
"""
_REPORT = "print(memory('VmHWM') - before)"


def peak_mb(prepare: str, work: str) -> float:
    """How far the memory of a fresh process grows while it does `work` [MB], at its peak.

    Both are lines of Python; `prepare` runs before, and what it leaves is not counted.
    """
    script = "\n".join([_MEMORY, prepare, "before = memory('VmRSS')", work, _REPORT])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])
