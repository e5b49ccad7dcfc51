"""What every adaptation decides, and the protocol of those that decide. Knows no routers.

Experts come as {label: expert}: the label is the expert's name and the domain that it answers
for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError, ScoresError
from mlx_t2.experts import Expert
from mlx_t2.reading import BasePrompt
from mlx_t2.routing import Conversation
from mlx_t2.svf import ActsOn, Scales
from mlx_t2.tasks import OTHER

Experts = Mapping[str, Expert]


@dataclass(frozen=True)
class Adapted:
    """What was decided for one conversation."""

    scales: Scales
    """What the second pass wears; may not be computed yet. {} is the base model, exactly."""
    coefficients: Mapping[str, float] = field(default_factory=dict)
    """{expert: its coefficient}; what is missing has none. May wait for the device."""
    label: str | None = None
    """The one label chosen, where one was."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """{label: probability} that the decision was made on; empty where nothing was weighed. May
    wait for the device.
    """
    prompt: Conversation = ()
    """The messages to put before a question, see `Expert.prompt`; empty where the experts have
    none in common.
    """
    acts_on: ActsOn = "all"
    """What is read under the scales."""


@contextmanager
def naming_experts(adapted: Adapted) -> Iterator[None]:
    """Inside the block, scores that are NaN or infinite by the scales of `adapted` are an error
    that names its experts.
    """
    try:
        yield
    except ScoresError as error:
        if not error.by_scales:
            raise
        names = [name for name, share in adapted.coefficients.items() if share]
        kind = "expert" if len(names) == 1 else "experts"
        raise ScoresError(f"{kind} {', '.join(names)}: {error}", by_scales=True) from error


@runtime_checkable
class Strategy(Protocol):
    """How scales are found for conversations."""

    @property
    def name(self) -> str: ...

    @property
    def is_fixed(self) -> bool:
        """Every conversation gets the same scales, and nothing is computed to know them."""
        ...

    @property
    def acts_on(self) -> ActsOn:
        """What is read under the scales, whatever they will be."""
        ...

    def adapt(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> list[Adapted]:
        """One decision per conversation, in order, from one batch under the base weights.

        read: the conversations' prompts, where the answers will go on from them.
        """
        ...


class LazyNumbers(Mapping[str, float]):
    """Names for the entries of an array that is read from the device when first looked at."""

    def __init__(self, names: Sequence[str], values: Float[mx.array, " names"]):
        self._names = tuple(names)
        self._values = values

    @cached_property
    def _numbers(self) -> dict[str, float]:
        numbers: Any = self._values.tolist()
        return dict(zip(self._names, numbers, strict=True))

    def __getitem__(self, name: str) -> float:
        return self._numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def shared_prompt_of(experts: Iterable[Expert]) -> Conversation:
    """The prompt that all of the experts were trained behind; none where they differ."""
    prompts = [expert.prompt for expert in experts]
    return prompts[0] if prompts and all(prompt == prompts[0] for prompt in prompts) else ()


def check_labels(experts: Experts) -> None:
    """Raise ConfigError for no experts, or for one that takes the base model's label."""
    if not experts or OTHER in experts:
        raise ConfigError(
            f"experts: got {', '.join(experts) or 'none'}, expected at least one, and none "
            f"called {OTHER!r}, which means the base model"
        )
