"""A mixture as an expert of its own. Knows experts; knows no model and no files."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlx_t2.errors import ConfigError

from .expert import Expert
from .mixing import acts_on_of, mix


def make_mixture(name: str, experts: Sequence[Expert], coefficients: Sequence[float]) -> Expert:
    """The mixture under a name of its own; its settings have the coefficients and what was
    mixed. It has no accuracy of its own until it is measured.

    Raises: ConfigError for experts of unlike targets, and what `mix` raises.
    """
    scales = mix(experts, coefficients)
    targets = {expert.targets: expert.name for expert in experts}
    if len(targets) > 1:
        layers = ", ".join(f"{who!r} is of {what}" for what, who in targets.items())
        raise ConfigError(
            f"mix: {layers}, expected experts of the same layers. These can be mixed as they "
            "are worn: --mix"
        )
    first = experts[0]
    return Expert(
        name=name,
        scales=scales,
        base_model=first.base_model,
        base_fingerprint=first.base_fingerprint,
        targets=first.targets,
        rank=first.rank,
        task=" + ".join(dict.fromkeys(expert.task for expert in experts)),
        seed=first.seed,
        config=_describe(experts, coefficients),
        metrics={},
        acts_on=acts_on_of(experts),
    )


def _describe(experts: Sequence[Expert], coefficients: Sequence[float]) -> dict[str, Any]:
    """The coefficients, the digests of what was mixed, and the prompt where all have one."""
    names = [expert.name for expert in experts]
    config: dict[str, Any] = {
        "mixture": dict(zip(names, coefficients, strict=True)),
        "mixed": {expert.name: expert.digest for expert in experts},
    }
    prompts = [list(expert.prompt) for expert in experts]
    if all(prompt == prompts[0] for prompt in prompts):
        config["prompt"] = prompts[0]
    return config


def coefficients_of(expert: Expert) -> Mapping[str, float]:
    """{name: coefficient} of what the expert was mixed of; empty for one that was trained."""
    found = expert.config.get("mixture")
    if not isinstance(found, dict):
        return {}
    return {k: v for k, v in found.items() if type(v) in (int, float)}
