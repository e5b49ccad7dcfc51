"""The algebra of experts, z' = 1 + Σ_k w_k (z_k - 1): pure. Knows no model, no files."""

import math
from collections.abc import Sequence

import mlx.core as mx

from mlx_t2.errors import ConfigError, ExpertFileError, ShapeError
from mlx_t2.svf import Scales

from .expert import Expert


def mix(experts: Sequence[Expert], weights: Sequence[float]) -> Scales:
    """z' = 1 + Σ_k w_k (z_k - 1) for every module path of any expert; a missing z is 1.

    Exact where it should be: one expert of weight 1 is itself, weights of 0 are the base.

    Raises: ConfigError for weights that are not finite, or not one an expert; ExpertFileError
    for experts of different models; ShapeError for scales of different shapes.
    Differs (1): deviations from 1 are mixed, so the weights need not sum to 1; the reference's
    few-shot path mixes another quantity.
    """
    if len(weights) != len(experts):
        raise ConfigError(
            f"mix: got {len(weights)} weights, expected {len(experts)}, one an expert"
        )
    for expert, weight in zip(experts, weights, strict=True):
        if not math.isfinite(weight):
            raise ConfigError(f"mix: got {expert.name!r}={weight}, expected a finite weight")
    _check_bases(experts)
    paths = sorted({path for expert in experts for path in expert.scales})
    _check_shapes(experts, paths)
    pairs = [(expert.scales, weight) for expert, weight in zip(experts, weights, strict=True)]
    return {
        path: _mixed([(s[path], weight) for s, weight in pairs if path in s]) for path in paths
    }


def add(experts: Sequence[Expert]) -> Scales:
    """z' = 1 + Σ_k (z_k - 1): every expert in full, no choice among them."""
    return mix(experts, [1.0] * len(experts))


def _mixed(weighted: list[tuple[mx.array, float]]) -> mx.array:
    """1 + Σ w (z - 1). A lone z of weight 1 is left alone: in float32 1 + (z - 1) rounds."""
    counting = [(z, weight) for z, weight in weighted if weight != 0]
    if len(counting) == 1 and counting[0][1] == 1:
        return counting[0][0]
    return sum((weight * (z - 1) for z, weight in counting), mx.ones_like(weighted[0][0]))


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
    """`math=0.6,code=0.4` → {"math": 0.6, "code": 0.4}. Raises ConfigError for all else."""
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.rpartition("="))
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not name or not math.isfinite(weight):
            raise ConfigError(
                f"mix {text!r}: got {part!r}, expected NAME=NUMBER, as in math=0.6,code=0.4"
            )
        if name in weights:
            raise ConfigError(f"mix {text!r}: {name!r} came twice, expected each expert once")
        weights[name] = weight
    return weights
