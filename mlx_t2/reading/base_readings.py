"""A step's prompts as the base has read them: once for sampling, the gradient and all else.

Knows tokens and caches; knows no completions and no rewards. Only what acts on the answer alone
may go on from them.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy

import mlx.core as mx

from mlx_t2.models import SVFModel
from mlx_t2.svf import BASE

from .row_cache import merge_caches
from .rows import Rows, prefill

Tokens = tuple[int, ...]


class BaseReadings:
    """Prompts, each in a row of some batch, and copies of these rows for whoever decodes.

    sampling    read a b c        a copy of each decodes
    gradient    read b c          copies of what is there: nothing is read again
    """

    def __init__(self, model: SVFModel):
        self._model = model
        self._batches: list[Rows] = []
        self._places: dict[Tokens, tuple[int, int]] = {}
        """Prompt → its batch, and its row in it."""

    def clear(self) -> None:
        """Forget all prompts."""
        self._batches, self._places = [], {}

    def read(self, prompts: Sequence[Sequence[int]]) -> Rows:
        """A row for each prompt, all of it but its last token; those that are new are read in
        one batch. The caches are copies, and the base's.
        """
        wanted = [tuple(prompt) for prompt in prompts]
        self._add(dict.fromkeys(one for one in wanted if one not in self._places))
        batches = sorted({self._places[one][0] for one in wanted})
        parts = [deepcopy(self._batches[batch]) for batch in batches]
        starts = _sum_before([len(part.last) for part in parts])
        rows = parts[0]
        if len(parts) > 1:
            caches = merge_caches([part.caches for part in parts])
            last = [token for part in parts for token in part.last]
            rows = Rows(self._model.own(caches, BASE), last)
        at = [self._places[one] for one in wanted]
        rows.take([starts[batches.index(batch)] + row for batch, row in at])
        return rows

    def _add(self, new: Iterable[Tokens]) -> None:
        if not (prompts := list(new)):
            return
        rows = prefill(self._model, prompts, BASE)
        mx.eval([cache.state for cache in rows.caches])  # has no gradient: its graph may go
        self._places |= {one: (len(self._batches), i) for i, one in enumerate(prompts)}
        self._batches.append(rows)


def _sum_before(sizes: Sequence[int]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes))]
