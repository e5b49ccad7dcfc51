"""The first pass as a protocol, and the strategies that need none. Knows no classifiers.

A strategy turns conversations into scales. Experts come as {label: expert}: the label is the
expert's name and the domain that it answers for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError
from mlx_t2.experts import Expert, add, mix
from mlx_t2.models import SVFModel
from mlx_t2.svf import Scales
from mlx_t2.tasks import Message

OTHER = "other"
"""The label that no expert answers for: the base model does."""

Conversation = Sequence[Message]
Experts = Mapping[str, Expert]


@dataclass(frozen=True)
class Adapted:
    """What the first pass decided for one conversation."""

    scales: Scales
    """What the second pass wears; may not be computed yet. {} is the base model, exactly."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """{expert: its coefficient}; what is missing has none."""
    label: str | None = None
    """The one label chosen, where one was."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """{label: probability} that the decision was made on; empty where nothing was weighed."""


@runtime_checkable
class Strategy(Protocol):
    """How scales are found for conversations."""

    name: str
    is_fixed: bool
    """Every conversation gets the same scales, and nothing has to be computed to know them."""

    def adapt(self, model: SVFModel, conversations: Sequence[Conversation]) -> list[Adapted]:
        """One decision a conversation, in order, from one batch under the base weights."""
        ...


class Reading(Mapping[str, float]):
    """Names for the entries of an array that is read from the device when first looked at."""

    def __init__(self, names: Sequence[str], values: Float[mx.array, " names"]):
        self._names = tuple(names)
        self._values = values

    @cached_property
    def _read(self) -> dict[str, float]:
        numbers: Any = self._values.tolist()
        return dict(zip(self._names, numbers, strict=True))

    def __getitem__(self, name: str) -> float:
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class NoAdaptation:
    """The base model, exactly."""

    name = "none"
    is_fixed = True

    def adapt(self, model: SVFModel, conversations: Sequence[Conversation]) -> list[Adapted]:
        """Nothing to wear, for each conversation."""
        return [Adapted({})] * len(conversations)


class Named:
    """One expert, or a mixture of several, chosen by the user: z' = 1 + Σ_k w_k (z_k − 1)."""

    is_fixed = True

    def __init__(self, experts: Experts, weights: Mapping[str, float]):
        check_labels(experts)
        unknown = sorted(set(weights) - set(experts))
        if unknown or not weights:
            raise ConfigError(
                f"mixture: got {', '.join(unknown) or 'no expert'}, expected some of "
                f"{', '.join(experts)}"
            )
        labels = sorted(weights)
        is_single = len(labels) == 1 and weights[labels[0]] == 1
        shares = ",".join(f"{label}={weights[label]:g}" for label in labels)
        self.name = f"expert:{labels[0]}" if is_single else f"mix:{shares}"
        self._adapted = Adapted(
            mix([experts[label] for label in labels], [weights[label] for label in labels]),
            {label: float(weights[label]) for label in labels},
            labels[0] if is_single else None,
        )

    def adapt(self, model: SVFModel, conversations: Sequence[Conversation]) -> list[Adapted]:
        """The same scales for each conversation."""
        return [self._adapted] * len(conversations)


class Sum:
    """All experts at once, z = 1 + Σ_k (z_k − 1): the baseline that a first pass has to beat.

    Added in the order of their labels, so that the order they come in changes no bit.
    Differs (1): not in the paper. Deviations of separately trained experts are nearly
    orthogonal, so their sum keeps most of each; where one prompt is shared by all domains they
    conflict, and choosing pays.
    """

    name = "sum"
    is_fixed = True

    def __init__(self, experts: Experts):
        check_labels(experts)
        labels = sorted(experts)
        self._adapted = Adapted(add([experts[k] for k in labels]), dict.fromkeys(labels, 1.0))

    def adapt(self, model: SVFModel, conversations: Sequence[Conversation]) -> list[Adapted]:
        """The same scales for each conversation."""
        return [self._adapted] * len(conversations)


class TrueLabel:
    """The expert of the label that the data set gives: the ceiling of routing.

    For evaluation only.

    labels: {the question, as the last user message says it: its label}.
    """

    name = "truth"
    is_fixed = False

    def __init__(self, experts: Experts, labels: Mapping[str, str]):
        check_labels(experts)
        self._experts = experts
        self._labels = labels

    def adapt(self, model: SVFModel, conversations: Sequence[Conversation]) -> list[Adapted]:
        """The labelled expert of each question. Raises ConfigError for one without a label."""
        return [self._adapted(question_in(conversation)) for conversation in conversations]

    def _adapted(self, question: str) -> Adapted:
        if question not in self._labels:
            raise ConfigError(
                f"true label: got {question!r}, expected one of the {len(self._labels)} "
                "questions that have a label"
            )
        return wearing(self._experts, self._labels[question])


def wearing(experts: Experts, label: str, scores: Mapping[str, float] | None = None) -> Adapted:
    """The expert of `label`; the base model, exactly, where the label has none.

    Differs (2): the reference leaves the previous expert's weights in place for questions of no
    category.
    """
    weights = {label: 1.0} if label in experts else {}
    return Adapted(experts[label].scales if weights else {}, weights, label, scores or {})


def choose(
    experts: Experts, labels: Sequence[str], posterior: Float[mx.array, "B K"]
) -> list[Adapted]:
    """The expert of the most probable label of each row.

    Waits for the posterior: whether the base model answers is known on the host, or it would
    not be exact and free.
    """
    numbers: Any = posterior.tolist()
    rows = [dict(zip(labels, row, strict=True)) for row in numbers]
    return [wearing(experts, max(row, key=row.__getitem__), row) for row in rows]


def stack_rows(scales: Sequence[Scales]) -> Scales:
    """Scales of B conversations as rows of one batch; ones where one has none."""
    shapes = {path: z.shape for row in scales for path, z in row.items()}
    return {
        path: mx.stack([row[path] if path in row else mx.ones(shape) for row in scales])
        for path, shape in shapes.items()
    }


def question_in(conversation: Conversation) -> str:
    """The last user message, after any example turns. Raises ConfigError for none."""
    for message in reversed(conversation):
        if message["role"] == "user":
            return message["content"]
    raise ConfigError(
        f"first pass: {len(conversation)} messages and none from the user, expected a question"
    )


def check_labels(experts: Experts) -> None:
    """Raise ConfigError for no experts, or for one that takes the base model's label."""
    if not experts or OTHER in experts:
        raise ConfigError(
            f"experts: got {', '.join(experts) or 'none'}, expected at least one, and none "
            f"called {OTHER!r}, which means the base model"
        )
