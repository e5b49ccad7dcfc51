"""What a conversation has read so far, from turn to turn: a turn costs its new tokens only.

Knows tokens and caches; knows no strategy and no text. A cache is found again by the scales
that filled it, and by what it begins with.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from mlx_lm.models.cache import KVCache

from mlx_t2.models import OwnedCache, SVFModel
from mlx_t2.svf import Scales, same

from .rows import Begun

_MOST = 3
"""Scales that are remembered: the base, what is worn, and what was worn before."""


def is_plain(caches: Sequence[Any]) -> bool:
    """Whether the caches can forget their last tokens, however many: recurrent and rotating
    ones cannot.
    """
    return all(type(cache) is KVCache for cache in caches)


@dataclass(eq=False)
class Kept:
    """What the caches of some scales hold."""

    tokens: list[int]
    """Read under the scales alone. Plain caches may hold more behind them, which is forgotten
    before they are used again.
    """
    caches: list[Any]
    scales: Scales

    def grow(self, tokens: Sequence[int]) -> None:
        """These tokens were read behind the others, under the same scales. A copy that was made
        before does not know them.
        """
        if is_plain(self.caches):
            self.tokens += tokens


class KeptCaches:
    """The caches of one conversation, the last few by the scales that filled them.

        begun = kept.take(tokens, scales)                 what is known of this prompt
        caches = read_alone(model, tokens, scales, begun)
        held = kept.hold(tokens[:-1], caches, scales)     before anything is decoded
        held.grow(answer)                                 where the scales read the answer too

    Plain caches are held as they are while an answer is decoded with them; of others, which
    cannot forget it, a copy is.
    """

    def __init__(self, model: SVFModel):
        self._model = model
        self._kept: list[Kept] = []

    def take(self, tokens: Sequence[int], scales: Scales) -> Begun | None:
        """What is known of the beginning of these tokens under these scales, their last one not
        among it; None for nothing. The caches are handed over.
        """
        found = next((one for one in self._kept if same(one.scales, scales)), None)
        if found is None:
            return None
        count = count_shared(found.tokens, tokens[:-1])
        if is_plain(found.caches):
            count = min([count, *(cache.offset for cache in found.caches)])
            for cache in found.caches:
                cache.trim(cache.offset - count)
        elif count < len(found.tokens):
            return None
        self._kept.remove(found)
        return Begun(self._model.own(found.caches, scales), count) if count else None

    def copy(self) -> "KeptCaches":
        """What is known now, to go on from more than once."""
        other = KeptCaches(self._model)
        other._kept = [
            Kept(list(one.tokens), deepcopy(one.caches), one.scales) for one in self._kept
        ]
        return other

    def hold(self, tokens: Sequence[int], caches: OwnedCache, scales: Scales) -> Kept:
        """Remember what these caches hold, in place of what was known under the scales."""
        own = list(caches) if is_plain(caches) else deepcopy(list(caches))
        others = [one for one in self._kept if not same(one.scales, scales)]
        held = Kept(list(tokens), own, scales)
        self._kept = [held, *others][:_MOST]
        return held


def count_shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
