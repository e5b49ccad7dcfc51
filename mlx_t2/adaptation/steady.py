"""One conversation from turn to turn: what it is answered with changes only for a good reason.

Knows what a routed strategy decides; knows no router.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from mlx_t2.reading import BasePrompt
from mlx_t2.routing import Conversation, decide
from mlx_t2.svf import ActsOn
from mlx_t2.tasks import OTHER

from .routed import Chosen
from .strategy import Adapted, Strategy

When = Literal["first", "turn"]
EVERY: tuple[When, ...] = ("first", "turn")
_LEAST_TO_STAY = 0.4
"""How probable it has to be that an expert is meant, for the one that is worn to stay. This and
the weight were chosen on validation, behind one or two answers of an expert of four: an expert
then answered 30 of 880 ordinary requests, none of 132 of small talk, and 147 of 172
follow-ups. By the conversation alone it is 46, 3 and 150; by the router's threshold at each
turn 32, 1 and 143.
"""
_WEIGHT_LAST = 0.5
"""Weight of the last message's log-odds beside the conversation's."""
_LEAST = 1e-6
"""No probability is taken to be nearer to 0 or 1."""


class Steady:
    """A strategy for the turns of one conversation; the first turn of another begins anew.

    `first`: what was decided at the first turn holds for all.
    `turn`: each turn is decided on the whole of the conversation, and in doubt it stays with
    what it has. To put an expert on takes the router's threshold, as for a single request. The
    expert that is worn stays while it is the most probable label of all, sure or not, unless
    the last message alone is surely ordinary: see `weigh_last`. So a follow-up stays, and
    thanks go to the base: an expert that answers what is not its own does harm, and the base
    model does not. A mixture moves by degrees and needs no such rule.
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
        strategy = self._strategy
        (scores,) = strategy.weigh([conversation], read)
        worn = self._held.label if self._held is not None else None
        if worn in (None, OTHER) or max(scores, key=scores.__getitem__) != worn:
            return strategy.wear(decide(scores, strategy.threshold), scores)
        (alone,) = strategy.weigh([last_message(conversation)])
        weighed = weigh_last(scores, alone)
        stays = 1 - weighed[OTHER] >= _LEAST_TO_STAY
        return strategy.wear(worn if stays else OTHER, weighed)


def last_message(conversation: Conversation) -> Conversation:
    """The last question as if it were the first: behind the system messages alone.

    >>> last_message([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])
    [{'role': 'user', 'content': 'b'}]
    """
    system = [message for message in conversation[:-1] if message["role"] == "system"]
    return [*system, conversation[-1]]


def weigh_last(scores: Mapping[str, float], alone: Mapping[str, float]) -> dict[str, float]:
    """A posterior from two: of the whole conversation, and of its last message alone.

    The odds that an expert is meant are those by the whole, times the root of those by the last
    message: a follow-up means little by itself, so what was said before weighs more. Experts
    share among them as they do by the whole.

    >>> whole = {"kind": 0.6, "other": 0.4}
    >>> follow_up, thanks = {"kind": 0.4, "other": 0.6}, {"kind": 0.01, "other": 0.99}
    >>> [round(weigh_last(whole, alone)["kind"], 2) for alone in (follow_up, thanks)]
    [0.55, 0.13]
    """
    odds = _odds(scores) * _odds(alone) ** _WEIGHT_LAST
    meant = odds / (1 + odds)
    known = 1 - scores[OTHER]
    return {
        label: 1 - meant if label == OTHER else meant * p / known for label, p in scores.items()
    }


def _odds(scores: Mapping[str, float]) -> float:
    """That any expert is meant."""
    ordinary = min(max(scores[OTHER], _LEAST), 1 - _LEAST)
    return (1 - ordinary) / ordinary
