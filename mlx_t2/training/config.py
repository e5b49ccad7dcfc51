"""How an expert is trained: the settings and their defaults, once. Knows no models.

The options of `t2 train` are made from this file's text: names, types, defaults, and the first
sentence of each field's docstring as its help.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mlx_t2.errors import ConfigError
from mlx_t2.svf import ActsOn

Mode = Literal["rloo", "reinforce", "paper"]
Schedule = Literal["constant", "cosine"]
OptimizerName = Literal["adam", "adamw"]
Penalty = Literal["k2", "k1", "paper", "reference"]
Truncated = Literal["wrong", "masked"]
ParametrisationName = Literal["direct", "sigmoid", "bands"]

_COUNTS = ("steps", "eval_every", "warmup", "overlong", "patience", "rows", "bands", "rank")
_MOST = 999_999_999
_MOST_COMPLETIONS = 100_000
"""Per step: all of them are in memory, as text and tokens."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How an expert is trained."""

    mode: Mode = "rloo"
    """Advantages: rloo (leave-one-out in a group), reinforce (against the step's mean) or paper
    (±1 without a baseline).
    """
    steps: int = 20
    """Updates."""
    prompts: int = 9
    """Problems per step."""
    group: int = 8
    """Completions per problem."""
    lr: float = 2e-3
    """Learning rate of the optimiser on z. A higher one is faster where no short cut pays, and
    fatal where one does: the policy collapses onto it within a few steps. A little `kl`
    prevents that.
    """
    warmup: int = 0
    """Updates over which the learning rate rises to `lr`."""
    schedule: Schedule = "constant"
    """Learning rate after the warm-up: constant, or cosine down to 0."""
    optimizer: OptimizerName = "adam"
    """adam (0.9, 0.99), or adamw (0.9, 0.999) with weight decay 0.01."""
    clip: float = 1.0
    """Largest global norm of the gradient."""
    kl: float = 0.0
    """Weight of the KL penalty to the base model; 0.05 where a policy collapses."""
    kl_form: Penalty = "k2"
    """Penalty: k2 (in the loss), k1 (in the reward), paper (KL(π ‖ base) over the whole
    vocabulary) or reference (KL(base ‖ π), as the reference code has it).
    """
    temperature: float = 1.0
    """Temperature of the sampled completions. 0 is greedy, for mode paper alone."""
    truncated: Truncated = "wrong"
    """A completion cut off by the limit is wrong, or masked: as if it had not been sampled."""
    overlong: int = 0
    """Tokens before the limit over which a penalty rises to 1; 0 is none."""
    balanced: bool = True
    """Ask for each class or position of an answer equally often in every step."""
    parametrisation: ParametrisationName = "direct"
    """What is trained: direct (z), sigmoid (the reference's p, renormalised) or bands."""
    bands: int = 8
    """Numbers per kind of matrix, for parametrisation bands."""
    seed: int = 0
    """Same seed, same problems and completions."""
    eval_every: int = 5
    """Steps between greedy evaluations on the validation split."""
    validation: int = 120
    """Problems per validation."""
    patience: int | None = None
    """Validations without a better one after which to stop; never by default."""
    test: int = 200
    """Problems of the test split answered before and after; 0 is none."""
    acts_on: ActsOn = "all"
    """What is read under z: all, or the answer alone; prompts are then read under the base."""
    targets: str = "mlp"
    """Layers that wear scales: mlp, attention, all, or a regular expression."""
    rank: int | None = None
    """Singular values scaled per weight, largest first; all by default."""
    init: str | None = None
    """Start from this expert file instead of z = 1."""
    memory_gb: float | None = None
    """Most memory to plan for [GB]; the machine's by default."""
    rows: int | None = None
    """Completions per gradient pass; what fits by default. The gradient is the same."""
    probe: bool = True
    """Measure first, on 32 training problems, whether there is anything to learn."""
    checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, more time."""

    def __post_init__(self):
        for name in ("steps", "prompts", "group", "eval_every", "validation", "bands"):
            self._check(name, getattr(self, name) >= 1, "1 or more")
        for name in ("rows", "patience", "rank"):
            self._check(
                name, getattr(self, name) is None or getattr(self, name) >= 1, "1 or more"
            )
        self._check_size()
        for name in ("lr", "clip"):
            self._check(name, 0 < getattr(self, name) < math.inf, "more than 0")
        for name in ("kl", "temperature"):
            self._check(name, 0 <= getattr(self, name) < math.inf, "0 or more")
        for name in ("test", "warmup", "overlong"):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        self._check("seed", 0 <= self.seed < 2**43, "0 or more, and less than 2^43")
        memory = self.memory_gb
        self._check("memory_gb", memory is None or 0 < memory < 1e6, "more than 0, below 1e6")
        for name, kind in setting_types().items():
            if get_origin(kind) is Literal:
                known = get_args(kind)
                self._check(name, getattr(self, name) in known, " or ".join(known))
        self._check_pairs()

    def _check_size(self) -> None:
        """A count that is larger than any machine can do is a slip of the hand."""
        for name in _COUNTS:
            self._check(name, (getattr(self, name) or 0) <= _MOST, f"at most {_MOST:,}")
        completions = self.prompts * self.group
        if completions > _MOST_COMPLETIONS:
            raise ConfigError(
                f"prompts and group: got {self.prompts:,} problems with {self.group:,} "
                f"completions each, expected at most {_MOST_COMPLETIONS:,} completions per step"
            )

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            raise ConfigError(f"{name}: got {getattr(self, name)!r}, expected {expected}")

    def _check_pairs(self) -> None:
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


def setting_types() -> dict[str, Any]:
    """{setting: its type}."""
    return get_type_hints(TrainConfig)


MOVE_WORK = ("rows", "memory_gb")
"""Settings of how much is done at once; the objective is the same."""

MAY_CHANGE = (*MOVE_WORK, "steps", "patience", "probe")
"""Settings that a resumed run may have otherwise: those, when it is over, and what comes before
the first step.
"""

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

Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, table 6 and appendix; one greedy completion
per problem as in the reference code.
"""
