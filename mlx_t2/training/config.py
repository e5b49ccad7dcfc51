"""How an expert is trained: the settings and their defaults, once. Knows no models."""

import math
from dataclasses import dataclass
from typing import Any

from mlx_t2.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How an expert is trained."""

    mode: str = "rloo"
    """Advantages: rloo (leave-one-out in a group), reinforce (against the step's mean) or paper
    (±1 without baseline).
    """
    steps: int = 20
    """Updates."""
    prompts: int = 9
    """Problems a step."""
    group: int = 8
    """Completions a problem."""
    lr: float = 2e-3
    """Learning rate of the optimiser on z. More is faster where no short cut pays, and fatal
    where one does: the policy shuts on it within a few steps. A little `kl` keeps it open.
    """
    warmup: int = 0
    """Updates over which the learning rate rises to `lr`."""
    schedule: str = "constant"
    """Of the learning rate after the warm-up: constant, or cosine down to 0."""
    optimizer: str = "adam"
    """adam (0.9, 0.99), or adamw (0.9, 0.999) with weight decay 0.01."""
    clip: float = 1.0
    """Longest gradient (global norm)."""
    kl: float = 0.0
    """Weight of the KL penalty to the base model."""
    kl_form: str = "k2"
    """k2 (in the loss), k1 (in the reward), paper (KL(π ‖ base) over the whole vocabulary) or
    reference (KL(base ‖ π), as the reference code has it).
    """
    temperature: float = 1.0
    """Of the sampled completions; 0 is greedy, for mode paper alone."""
    truncated: str = "wrong"
    """A completion cut off by the limit is wrong, or masked: as if it had not been sampled."""
    overlong: int = 0
    """Tokens before the limit over which a penalty rises to 1; 0 is none."""
    balanced: bool = True
    """Every step asks for each class or position of an answer equally often."""
    parametrisation: str = "direct"
    """What is trained: direct (z), sigmoid (the reference's p, renormalised) or bands."""
    bands: int = 8
    """Numbers a kind of matrix, for parametrisation bands."""
    seed: int = 0
    """Of problems and completions."""
    eval_every: int = 5
    """Steps between greedy evaluations on the validation split."""
    validation: int = 120
    """Problems of each such evaluation."""
    patience: int | None = None
    """Stop after so many evaluations without a better one; None is never."""
    test: int = 200
    """Problems of the test split answered before and after; 0 is none."""
    targets: str = "mlp"
    """Which layers wear scales: mlp, attention, all, or a regular expression."""
    rank: int | None = None
    """Singular values scaled a weight, largest first; all when None."""
    init: str | None = None
    """An expert file to start from instead of z = 1."""
    memory_gb: float | None = None
    """Most memory to plan for [GB]; the machine's when None."""
    rows: int | None = None
    """Completions in one gradient pass; as many as fit when None. The gradient is the same."""
    checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, more time."""

    def __post_init__(self):
        for name in ("steps", "prompts", "group", "eval_every", "validation", "bands"):
            self._check(name, getattr(self, name) >= 1, "1 or more")
        for name in ("rows", "patience"):
            self._check(
                name, getattr(self, name) is None or getattr(self, name) >= 1, "1 or more"
            )
        for name in ("lr", "clip"):
            self._check(name, 0 < getattr(self, name) < math.inf, "more than 0")
        for name in ("kl", "temperature"):
            self._check(name, 0 <= getattr(self, name) < math.inf, "0 or more")
        for name in ("test", "warmup", "overlong"):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        self._check("seed", 0 <= self.seed < 2**43, "0 or more, and less than 2^43")
        memory = self.memory_gb
        self._check("memory_gb", memory is None or 0 < memory < math.inf, "more than 0")
        for name, known in CHOICES.items():
            self._check(name, getattr(self, name) in known, " or ".join(known))
        self._check_together()

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            raise ConfigError(f"{name}: got {getattr(self, name)!r}, expected {expected}")

    def _check_together(self) -> None:
        if self.mode == "rloo":
            self._check("group", self.group > 1, "2 or more: one completion has no baseline")
        if self.mode != "paper":
            self._check(
                "temperature",
                self.temperature > 0,
                "more than 0: greedy completions have nothing to compare; or mode paper",
            )
        if self.parametrisation != "direct":
            self._check("init", self.init is None, "none: only direct starts from an expert")


CHOICES = {
    "mode": ("rloo", "reinforce", "paper"),
    "schedule": ("constant", "cosine"),
    "optimizer": ("adam", "adamw"),
    "kl_form": ("k2", "k1", "paper", "reference"),
    "truncated": ("wrong", "masked"),
    "parametrisation": ("direct", "sigmoid", "bands"),
}
"""Settings that are one of a few words."""

MAY_CHANGE = ("rows", "memory_gb")
"""Settings that a resumed run may have otherwise: they move work, not the objective."""

PRESETS: dict[str, dict[str, Any]] = {
    "rloo": {},
    "reinforce": {},
    "paper": {
        "prompts": 256,
        "group": 1,
        "temperature": 0.0,
        "clip": 1e-3,
        "kl_form": "paper",
        "parametrisation": "sigmoid",
        "optimizer": "adamw",
        "schedule": "cosine",
    },
}
"""What a mode sets where neither a flag nor a file does.

Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, table 6 and appendix; one greedy completion a
problem as in the reference code.
"""
