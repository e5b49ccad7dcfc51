"""Which layers of a network wear scales, and why the others do not. Decided here and nowhere
else, by the tables of `architectures`. Knows modules and their paths; does not know scales.
"""

import re
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from mlx_t2.errors import ConfigError

from .architectures import EXCLUDED, FUSED, NAMED_TARGETS, check_architecture, look_up
from .base_layer import BASE_CLASSES, BaseLayer
from .beside import BesideLinear
from .layer import SVFLayer


@dataclass(frozen=True)
class Survey:
    """What would happen to each layer that has a matrix of its own."""

    targeted: dict[str, BaseLayer]
    """{module path: base layer}, in path order."""
    skipped: dict[str, str]
    """{module path: why it wears no scales}."""
    fused: dict[str, str]
    """{targeted module path: which matrices share its one basis}."""


@dataclass(frozen=True)
class Targets:
    """Which linear layers wear scales: `mlp`, `attention`, `all`, or a regular expression on
    module paths.
    """

    pattern: str = "mlp"

    def __post_init__(self):
        try:
            re.compile(self.pattern)
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            raise ConfigError(
                f"targets: got {self.pattern!r}, expected mlp, attention, all or a regular "
                f"expression ({error})"
            ) from error

    def survey(self, network: nn.Module) -> Survey:
        """Every layer with a matrix, and what would happen to it.

        Raises: ModelError for an architecture that cannot wear scales.
        """
        check_architecture(network)
        layers = dict(sorted(base_layers(network).items()))
        modules = sorted((layers | _other_matrices(network)).items())
        skipped = {
            path: reason for path, module in modules if (reason := self._reason(path, module))
        }
        targeted = {path: layer for path, layer in layers.items() if path not in skipped}
        fused = {path: parts for path in targeted if (parts := look_up(FUSED, path))}
        return Survey(targeted, skipped, fused)

    def select(self, network: nn.Module) -> dict[str, BaseLayer]:
        """{module path: base layer} in path order.

        Raises: ConfigError where nothing matches; ModelError as `survey`.
        """
        survey = self.survey(network)
        if not survey.targeted:
            near = [p for p, why in survey.skipped.items() if why.startswith("not among")]
            hint = f", which has {near[0]} and {len(near) - 1} others" if near else ""
            raise ConfigError(
                f"targets: {self.pattern!r} matches no linear layer of the model{hint}. "
                "Try all, or a regular expression on such paths"
            )
        return survey.targeted

    def name(self, path: str) -> bool:
        """Whether they speak of the module at `path`, whatever it is."""
        return bool(re.search(NAMED_TARGETS.get(self.pattern, self.pattern), path))

    def _reason(self, path: str, module: nn.Module) -> str | None:
        """Why the module at `path` wears no scales; None where it does."""
        reason = look_up(EXCLUDED, path) or _class_fault(module)
        if reason or self.name(path):
            return reason
        return f"not among the targets {self.pattern!r}"


def base_layers(network: nn.Module) -> dict[str, BaseLayer]:
    """Every linear layer by its path; an SVF layer is represented by its base, whatever is
    beside that.
    """
    modules = dict(network.named_modules())
    worn = {path: module for path, module in modules.items() if isinstance(module, SVFLayer)}
    inside = (".base", ".base.base", ".base.change")
    parts = {path + part for path in worn for part in inside}
    plain = {
        path: module
        for path, module in modules.items()
        if type(module) in BASE_CLASSES and path not in parts
    }
    bases = {path: module.base for path, module in worn.items()}
    return plain | {p: b.base if isinstance(b, BesideLinear) else b for p, b in bases.items()}


def _other_matrices(network: nn.Module) -> dict[str, nn.Module]:
    """Modules of other classes that hold a matrix called `weight`."""
    return {
        path: module
        for path, module in network.named_modules()
        if type(module) not in BASE_CLASSES
        and not isinstance(module, SVFLayer)
        and isinstance(weight := module.get("weight"), mx.array)
        and weight.ndim >= 2
    }


def _class_fault(module: nn.Module) -> str | None:
    """Why a module of this class cannot wear scales; None where it can."""
    if type(module) in BASE_CLASSES:
        return None
    if "conv" in type(module).__name__.lower():
        return "a convolution"
    return f"{type(module).__name__}: not a layer that is known to be linear"
