"""What every router is. Knows labels and conversations; reads nothing itself."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.reading import BasePrompt
from mlx_t2.tasks import OTHER, Message

Conversation = Sequence[Message]


@runtime_checkable
class Router(Protocol):
    """Names the domain of a conversation. The paper's dispatch.

    Bound to the model that it reads with, and checked against it when it is made; a request can
    fail only if it has no user message.
    """

    @property
    def model(self) -> SVFModel:
        """What it reads with."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """What it tells apart; `other` is among them."""
        ...

    @property
    def threshold(self) -> float:
        """How probable it has to be that any expert is meant, for one to answer; 0 where the
        most probable label is enough.
        """
        ...

    def posterior(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> Float[mx.array, "B K"]:
        """The probability of each label for each conversation, lazily, from one batch read
        under the base weights.

        read: the conversations as they are encoded for the answer, where somebody reads them
            anyway: who looks at no more than that reads nothing again.
        """
        ...


def decide(scores: Mapping[str, float], threshold: float) -> str:
    """The most probable label; `other` where the chance that any expert is meant, 1 − p(other),
    is below the threshold. Whoever is not sure says `other`.

    >>> decide({"kind": 0.7, "largest": 0.1, "other": 0.2}, threshold=0.75)
    'kind'
    >>> decide({"kind": 0.7, "largest": 0.0, "other": 0.3}, threshold=0.75)
    'other'
    """
    label = max(scores, key=scores.__getitem__)
    return label if 1 - scores.get(OTHER, 0.0) >= threshold else OTHER


def measure_routes(truth: Sequence[str], chosen: Sequence[str]) -> dict[str, Any]:
    """How often requests go where they belong.

        checked    requests, `ordinary` of them of `other`
        accuracy   share of all that go where they belong
        adapted    ordinary requests that an expert would answer
        recall     {label: share of its questions that go to it}

    truth, chosen: a label for each request.

    >>> measure_routes(["kind", "kind", "other"], ["kind", "other", "kind"])["recall"]
    {'kind': 0.5}
    """
    pairs = list(zip(truth, chosen, strict=True))
    of_label = {label: [c for t, c in pairs if t == label] for label in dict.fromkeys(truth)}
    ordinary = of_label.pop(OTHER, [])
    return {
        "checked": len(pairs),
        "accuracy": sum(t == c for t, c in pairs) / max(1, len(pairs)),
        "ordinary": len(ordinary),
        "adapted": sum(label != OTHER for label in ordinary),
        "recall": {label: c.count(label) / len(c) for label, c in sorted(of_label.items())},
    }


def question_in(conversation: Conversation) -> str:
    """The last user message, after any example turns. Raises ConfigError for none."""
    for message in reversed(conversation):
        if message["role"] == "user":
            return message["content"]
    raise ConfigError(
        f"first pass: got {len(conversation)} messages and none from the user, expected a "
        "question"
    )
