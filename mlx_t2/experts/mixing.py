"""The algebra of experts, z' = 1 + Σ_k α_k (z_k - 1): pure. Knows no model, no files."""

import math
from collections.abc import Sequence

import mlx.core as mx

from mlx_t2.errors import ConfigError, ExpertFileError, ShapeError
from mlx_t2.svf import ActsOn, Scales

from .expert import Expert


def mix(experts: Sequence[Expert], coefficients: Sequence[float]) -> Scales:
    """z' = 1 + Σ_k α_k (z_k - 1) for every module path of any expert; a missing z is 1.

    Deviations from 1 are mixed, so the coefficients need not sum to 1. Exact where it should
    be: one expert of coefficient 1 is itself, coefficients of 0 are the base.

    >>> z = mx.array([1.5, 0.5])
    >>> expert = Expert("e", {"mlp.up_proj": z}, "tiny", "ab12", "mlp", None, "t", 0, {}, {})
    >>> mix([expert, expert], [0.5, 1.0])
    {'mlp.up_proj': array([1.75, 0.25], dtype=float32)}

    Raises: ConfigError for coefficients that are not finite, or not one per expert, and for
        experts that do not all act on the same; ExpertFileError for experts of different
        models; ShapeError for scales of different shapes.
    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2.
    """
    if len(coefficients) != len(experts):
        raise ConfigError(
            f"mix: got {len(coefficients)} coefficients for {len(experts)} experts, expected "
            "one per expert"
        )
    pairs = list(zip(experts, coefficients, strict=True))
    for expert, alpha in pairs:
        if not math.isfinite(alpha):
            raise ConfigError(
                f"mix: got {expert.name!r}={alpha}, expected a finite coefficient"
            )
    _check_bases(experts)
    acts_on_of(experts)
    paths = sorted({path for expert in experts for path in expert.scales})
    _check_shapes(experts, paths)
    return {
        path: _mix_one([(e.scales[path], alpha) for e, alpha in pairs if path in e.scales])
        for path in paths
    }


def add(experts: Sequence[Expert]) -> Scales:
    """z' = 1 + Σ_k (z_k - 1): every expert in full, no choice among them."""
    return mix(experts, [1.0] * len(experts))


def acts_on_of(experts: Sequence[Expert]) -> ActsOn:
    """What a mixture of these acts on: what each of them does; all, where there are none.

    Raises: ConfigError for experts of both kinds: no wearing would be right for all of them.
    """
    kinds: dict[ActsOn, str] = {expert.acts_on: expert.name for expert in experts}
    if len(kinds) > 1:
        raise ConfigError(
            f"mix: {kinds['answer']!r} acts on the answer alone and {kinds['all']!r} on all "
            "of a conversation, expected experts of one kind"
        )
    return experts[0].acts_on if experts else "all"


def _mix_one(terms: list[tuple[mx.array, float]]) -> mx.array:
    """1 + Σ α (z - 1). A lone z of coefficient 1 is left alone: 1 + (z - 1) rounds."""
    counting = [(z, alpha) for z, alpha in terms if alpha != 0]
    if len(counting) == 1 and counting[0][1] == 1:
        return counting[0][0]
    return sum((alpha * (z - 1) for z, alpha in counting), mx.ones_like(terms[0][0]))


def _check_bases(experts: Sequence[Expert]) -> None:
    """Refuse experts of different models.

    A fingerprint covers the targeted weights only: under other targets the same model has
    another, and there its name has to do.
    """
    first_of: dict[str, Expert] = {}
    for expert in experts:
        if expert.targets in first_of:
            other = first_of[expert.targets]
            same = expert.base_fingerprint == other.base_fingerprint
        else:
            first_of[expert.targets], other = expert, experts[0]
            same = expert.base_model == other.base_model
        if not same:
            raise ExpertFileError(
                f"mix: {expert.name!r} was trained on {expert.base_model!r} (fingerprint "
                f"{expert.base_fingerprint[:12]}…), {other.name!r} on {other.base_model!r} "
                f"({other.base_fingerprint[:12]}…). Mix experts of one model"
            )


def _check_shapes(experts: Sequence[Expert], paths: Sequence[str]) -> None:
    faults = []
    for path in paths:
        owners = [expert for expert in experts if path in expert.scales]
        if len({expert.scales[path].shape for expert in owners}) > 1:
            shapes = [f"{expert.name!r} has {expert.scales[path].shape}" for expert in owners]
            faults.append(f"{path}: {', '.join(shapes)}")
    if faults:
        raise ShapeError("mix: expected scales of the same shapes:\n" + "\n".join(faults))


def parse_mix(text: str) -> dict[str, float]:
    """`largest=0.6,kind=0.4` → {expert: coefficient}. Raises ConfigError for all else.

    >>> parse_mix("largest=0.6,kind=0.4")
    {'largest': 0.6, 'kind': 0.4}
    """
    coefficients: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.rpartition("="))
        try:
            alpha = float(number)
        except ValueError:
            alpha = math.nan
        if not name or not math.isfinite(alpha):
            raise ConfigError(
                f"mix {text!r}: got {part!r}, expected NAME=NUMBER, as in largest=0.6,kind=0.4"
            )
        if name in coefficients:
            raise ConfigError(f"mix {text!r}: got {name!r} twice, expected each expert once")
        coefficients[name] = alpha
    return coefficients
