"""A prompt that the base has read, once, for the first pass and for whatever answers it.

Knows no router and no expert; draws nothing. Its keys and values are the base's: all scales
that act on the answer alone go on from them.

Differs (22): in the paper an adapted model reads its prompt adapted, too.
"""

from collections.abc import Sequence
from copy import deepcopy

import mlx.core as mx
from jaxtyping import Float
from mlx_lm.models.cache import trim_prompt_cache

from mlx_t2.models import OwnedCache, SVFModel, check_tokens
from mlx_t2.svf import BASE

from .inner_states import last_states
from .kept_caches import is_plain
from .rows import CHUNK, Begun, read_alone


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

    def __init__(self, model: SVFModel, tokens: Sequence[int], begun: Begun | None = None):
        """begun: what the base has read of it already.

        Raises: ModelError for a prompt that the model cannot read.
        """
        check_tokens(model, [tokens])
        self.tokens = list(tokens)
        self._model = model
        self._begun = begun
        self._held: OwnedCache | None = None
        self._states: dict[tuple[int, ...], mx.array] = {}

    @property
    def caches(self) -> OwnedCache:
        """All of the prompt but its last token. They are handed over, not copied: whoever
        decodes with them has them alone.
        """
        if self._held is None:
            self._held = read_alone(self._model, self.tokens, BASE, self._begun)
        return self._held

    @property
    def read(self) -> Begun | None:
        """What has been read by now, without reading anything; handed over as `caches` are."""
        if self._held is None:
            return self._begun
        return Begun(self._held, len(self.tokens) - 1)

    def states(self, blocks: tuple[int, ...] = ()) -> Float[mx.array, " D"]:
        """The last token's states after these blocks, side by side, or after the final norm; in
        float32, lazily: what lies above them is computed when the caches are.

        To be asked for before the caches are handed over.
        Raises: ModelError where mlx-lm does not give an architecture's hidden states.
        """
        if blocks not in self._states:
            self._states[blocks] = self._read(blocks)[0].astype(mx.float32)
        return self._states[blocks]

    def _read(self, blocks: tuple[int, ...]) -> Float[mx.array, "1 D"]:
        begun = self._begun or Begun(self._model.new_cache(BASE), 0)
        if self._held is None and is_plain(begun.caches):
            states, self._held = self._read_whole(begun, blocks), begun.caches
            return states
        copy = self._model.own(deepcopy(list(self.caches)), BASE)
        return last_states(self._model, mx.array([self.tokens[-1:]]), copy, blocks)

    def _read_whole(self, begun: Begun, blocks: tuple[int, ...]) -> mx.array:
        """States of the last token, with all others read in one pass; the caches forget it."""
        caches, pieces = begun.caches, range(begun.count, len(self.tokens), CHUNK)
        for start in pieces[:-1]:
            self._model.extend(mx.array([self.tokens[start : start + CHUNK]]), caches)
            mx.eval([cache.state for cache in caches])  # bounds the memory of a piece
        last = mx.array([self.tokens[pieces[-1] :]])
        states = last_states(self._model, last, caches, blocks)
        trim_prompt_cache(caches, 1)
        return states
