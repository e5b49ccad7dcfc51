"""One conversation from turn to turn: what it is answered with changes only for a good reason.

Knows what a routed strategy decides; knows no router.
"""

from collections.abc import Sequence
from typing import Literal

from mlx_t2.reading import BasePrompt
from mlx_t2.routing import Conversation, decide
from mlx_t2.svf import ActsOn

from .routed import Chosen
from .strategy import Adapted, Strategy

When = Literal["first", "turn"]
EVERY: tuple[When, ...] = ("first", "turn")


class Steady:
    """A strategy for the turns of one conversation; the first turn of another begins anew.

    `first`: what was decided at the first turn holds for all.
    `turn`: each turn is decided on the whole of the conversation, and in doubt it stays with
    what it has. To put an expert on takes the router's threshold, as for a single request; the
    expert that is worn stays while it is the most probable label of all, sure or not. So an
    expert goes as soon as `other` is more probable: where it answers what is not its own it
    does harm, and the base model does not. A mixture moves by degrees and needs no such rule.
    """

    is_fixed = False

    def __init__(self, strategy: Strategy, every: When = "turn"):
        self.name = strategy.name
        self.acts_on: ActsOn = strategy.acts_on
        self._strategy, self._every = strategy, every
        self._held: Adapted | None = None

    def adapt(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> list[Adapted]:
        """The decision for the next turn of the conversation."""
        (conversation,) = conversations
        if sum(message["role"] == "user" for message in conversation) <= 1:
            self._held = None
        if self._held is None or self._every == "turn":
            self._held = self._decide(conversation, read)
        return [self._held]

    def _decide(self, conversation: Conversation, read: Sequence[BasePrompt]) -> Adapted:
        if not isinstance(self._strategy, Chosen):
            return self._strategy.adapt([conversation], read)[0]
        (scores,) = self._strategy.weigh([conversation], read)
        worn = self._held.label if self._held is not None else None
        label = stay_or_move(scores, self._strategy.threshold, worn)
        return self._strategy.wear(label, scores)


def stay_or_move(scores: dict[str, float], threshold: float, worn: str | None) -> str:
    """The label for the next turn, after one that was answered as `worn`.

    >>> scores = {"kind": 0.6, "largest": 0.1, "other": 0.3}
    >>> [stay_or_move(scores, 0.9, worn) for worn in (None, "other", "kind", "largest")]
    ['other', 'other', 'kind', 'other']
    >>> stay_or_move({"kind": 0.4, "largest": 0.0, "other": 0.6}, 0.9, "kind")
    'other'
    """
    likeliest = max(scores, key=scores.__getitem__)
    return likeliest if likeliest == worn else decide(scores, threshold)
