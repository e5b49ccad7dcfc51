"""A prompt that the base has read, once, for the first pass and for whatever answers it.

Knows no router and no expert; draws nothing. Its keys and values are the base's: all scales
that act on the answer alone go on from them.
"""

from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property

import mlx.core as mx
from jaxtyping import Float
from mlx_lm.models.cache import KVCache, trim_prompt_cache

from mlx_t2.models import OwnedCache, SVFModel, check_tokens
from mlx_t2.svf import BASE

from .rows import CHUNK, read_alone


class BasePrompt:
    """One prompt under the base weights, whatever the model wears.

    Read when it is first asked for. Where only the caches are wanted, the last token is not
    read. Where its state is, it is read with the others in one pass and then forgotten by the
    caches, if they can forget; a recurrent or a rotating one cannot, and there a copy of the
    caches reads it:

        caches     p p p p .        plain attention: all in one pass, the last one trimmed
        state      ········ s

        caches     p p p p          others: up to the last one, which a copy goes on with
        state              └─ s
    """

    def __init__(self, model: SVFModel, tokens: Sequence[int]):
        """Raises: ModelError for a prompt that the model cannot read."""
        check_tokens(model, [tokens])
        self.tokens = list(tokens)
        self._model = model
        self._held: OwnedCache | None = None

    @property
    def caches(self) -> OwnedCache:
        """All of the prompt but its last token. They are handed over, not copied: whoever
        decodes with them has them alone.
        """
        if self._held is None:
            self._held = read_alone(self._model, self.tokens, BASE)
        return self._held

    @cached_property
    def state(self) -> Float[mx.array, " hidden"]:
        """The last token's state after the final norm, in float32, lazily.

        To be asked for before the caches are handed over.
        Raises: ModelError where mlx-lm does not give an architecture's hidden states.
        """
        caches = self._model.new_cache(BASE)
        if self._held is None and all(type(cache) is KVCache for cache in caches):
            states, self._held = self._read_whole(caches), caches
        else:
            copy = self._model.own(deepcopy(list(self.caches)), BASE)
            states = self._model.hidden(mx.array([self.tokens[-1:]]), copy)
        return states[0, -1].astype(mx.float32)

    def _read_whole(self, caches: OwnedCache) -> Float[mx.array, "1 T hidden"]:
        """States of the last piece, the last token among them, which the caches then forget."""
        pieces = range(0, len(self.tokens), CHUNK)
        for start in pieces[:-1]:
            self._model.extend(mx.array([self.tokens[start : start + CHUNK]]), caches)
            mx.eval([cache.state for cache in caches])  # bounds the memory of a piece
        states = self._model.hidden(mx.array([self.tokens[pieces[-1] :]]), caches)
        trim_prompt_cache(caches, 1)
        return states
