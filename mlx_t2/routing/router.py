"""What every router is. Knows labels and conversations; reads nothing itself."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.reading import BasePrompt
from mlx_t2.tasks import Message

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

    def posterior(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> Float[mx.array, "B K"]:
        """The probability of each label for each conversation, lazily, from one batch read
        under the base weights.

        read: the conversations as they are encoded for the answer, where somebody reads them
            anyway: who looks at no more than that reads nothing again.
        """
        ...


def question_in(conversation: Conversation) -> str:
    """The last user message, after any example turns. Raises ConfigError for none."""
    for message in reversed(conversation):
        if message["role"] == "user":
            return message["content"]
    raise ConfigError(
        f"first pass: got {len(conversation)} messages and none from the user, expected a "
        "question"
    )
