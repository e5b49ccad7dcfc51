"""The same scales for every conversation: the base model, one expert, a mixture, or the sum.

Needs no first pass; knows no routers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlx_t2.errors import ConfigError
from mlx_t2.experts import Expert, acts_on_of, add, mix
from mlx_t2.reading import BasePrompt
from mlx_t2.routing import Conversation
from mlx_t2.svf import ActsOn, Scales

from .strategy import Adapted, Experts, check_labels, shared_prompt_of


@dataclass(frozen=True)
class Fixed:
    """One decision for all conversations."""

    name: str
    adapted: Adapted
    is_fixed: bool = True

    @property
    def acts_on(self) -> ActsOn:
        """What is read under the scales."""
        return self.adapted.acts_on

    def adapt(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> list[Adapted]:
        """The same decision for each conversation."""
        return [self.adapted] * len(conversations)

    @classmethod
    def base(cls) -> "Fixed":
        """The base model, exactly."""
        return cls("none", Adapted({}))

    @classmethod
    def mixture(cls, experts: Experts, coefficients: Mapping[str, float]) -> "Fixed":
        """One expert, or several by given coefficients: z' = 1 + Σ_k α_k (z_k − 1).

        Mixed in the order of their labels, so that the order they are given in changes no bit.
        """
        check_labels(experts)
        unknown = sorted(set(coefficients) - set(experts))
        if unknown or not coefficients:
            raise ConfigError(
                f"mixture: got {', '.join(unknown) or 'no expert'}, expected some of "
                f"{', '.join(experts)}"
            )
        shares = {label: float(coefficients[label]) for label in sorted(coefficients)}
        chosen = [experts[label] for label in shares]
        first = next(iter(shares))
        label = first if shares == {first: 1.0} else None
        name = "mix:" + ",".join(f"{label}={share:g}" for label, share in shares.items())
        adapted = Adapted(
            mix(chosen, list(shares.values())),
            shares,
            label,
            prompt=shared_prompt_of(experts[label] for label in shares if shares[label]),
            acts_on=acts_on_of(chosen),
        )
        return cls(f"expert:{label}" if label else name, adapted)

    @classmethod
    def sum(cls, experts: Experts) -> "Fixed":
        """All experts at once, z = 1 + Σ_k (z_k − 1): what a first pass has to beat.

        Added in the order of their labels, so that the order they are given in changes no bit.
        Differs (12): not in the paper. Deviations of separately trained experts are nearly
        orthogonal, so a sum of two or three of unlike tasks keeps most of each; many of them,
        or those whose questions do not say which task is meant, conflict, and choosing pays.
        """
        return cls("sum", _combine(experts, add, 1.0))

    @classmethod
    def average(cls, experts: Experts) -> "Fixed":
        """All experts at equal parts, z = 1 + Σ_k (z_k − 1) / K."""
        share = 1 / max(1, len(experts))
        return cls("average", _combine(experts, lambda e: mix(e, [share] * len(e)), share))


def _combine(
    experts: Experts, combine: Callable[[list[Expert]], Scales], coefficient: float
) -> Adapted:
    """All experts in one, in the order of their labels."""
    check_labels(experts)
    chosen = [experts[label] for label in sorted(experts)]
    return Adapted(
        combine(chosen),
        dict.fromkeys(sorted(experts), coefficient),
        prompt=shared_prompt_of(chosen),
        acts_on=acts_on_of(chosen),
    )
