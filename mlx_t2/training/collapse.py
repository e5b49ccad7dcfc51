"""Signs of a collapse in the last steps, and what to change. Pure functions; know no models.

A run dies by a constant answer that happens to pay: the policy collapses onto it, sampled
completions agree, and no baseline finds a gradient in them. The reward alone does not show it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

WINDOW = 3
"""Steps that are judged as one."""
_COLLAPSED = 0.85
"""Share of the commonest choice at which a policy counts as collapsed."""
_LITTLE_SIGNAL = 0.15
"""Share of problems with a signal below which there is little to learn from."""


@dataclass(frozen=True)
class Signs:
    """What one step's completions were like."""

    choices: Mapping[str, float]
    """How often each class, position or text was chosen; of options, how often expected."""
    wanted: Mapping[str, int]
    """How often each would have been right."""
    groups: int
    signal_groups: int
    reward: float
    """Mean."""

    @property
    def entropy(self) -> float:
        """Entropy of the choices [nats]; 0 is one choice for everything."""
        total = sum(self.choices.values())
        return -sum(n / total * math.log(n / total) for n in self.choices.values())

    @property
    def commonest(self) -> tuple[str, float]:
        """The commonest choice, and its share."""
        return _commonest(self.choices)


def advise(recent: Sequence[Signs]) -> str | None:
    """One line that says what is wrong with the last steps and what to change, or None."""
    if len(recent) < WINDOW:
        return None
    last = recent[-WINDOW:]
    choice, share = _commonest(_add(s.choices for s in last))
    _, fair = _commonest(_add(s.wanted for s in last))
    reward = sum(s.reward for s in last) / WINDOW
    signal = sum(s.signal_groups for s in last) / sum(s.groups for s in last)
    if share >= _COLLAPSED and share > fair + 0.3:
        return (
            f"collapse? {share:.0%} of the last {WINDOW} steps' completions chose {choice!r}, "
            f"which is right at most {fair:.0%} of the time. If it persists, start again with "
            "a lower --lr, or with --kl 0.05, and keep steps balanced"
        )
    if signal > _LITTLE_SIGNAL or reward > 1 - _LITTLE_SIGNAL:
        return None
    found = f"{signal:.0%} of the last {WINDOW} steps' problems carried a signal"
    if reward < _LITTLE_SIGNAL:
        return (
            f"too hard: {found}, mean reward {reward:.2f}. Take a larger --group, show worked "
            "examples in the prompt, or start from an expert (--init)"
        )
    return (
        f"no signal: {found}, mean reward {reward:.2f}: completions of a problem agree. Lower "
        "--lr, raise --temp, or stop here"
    )


def _add(counted: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for counts in counted:
        for choice, n in counts.items():
            total[choice] = total.get(choice, 0) + n
    return total


def _commonest(counts: Mapping[str, float]) -> tuple[str, float]:
    if not counts:
        return "", 0.0
    choice, n = max(sorted(counts.items()), key=lambda item: item[1])
    return choice, n / sum(counts.values())
