"""The prompts that experts bring, each read once under the base, for all questions behind it.

Knows messages, tokens and caches; knows no expert and no strategy.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from mlx_t2.models import SVFModel
from mlx_t2.svf import BASE

from .rows import Begun, common_prefix, read_alone

_MOST = 8
"""Prompts that are remembered, the last ones used."""

Messages = Sequence[dict[str, str]]


class BasePrefixes:
    """What was read of the messages before a question. It is the base's, so it serves every
    expert that acts on the answer alone.

        system  examples │ question          before the bar: read once, and copied
    """

    def __init__(self, model: SVFModel):
        self._model = model
        self._read: dict[tuple[int, ...], list[Any]] = {}

    def begin(self, before: Messages, tokens: Sequence[int]) -> Begun | None:
        """A copy of what the base has read of these tokens, which begin with the messages; None
        where the template does not begin them alike whatever is asked.
        """
        prefix = self._encode(before)
        if not prefix or prefix != tuple(tokens[: len(prefix)]) or len(prefix) >= len(tokens):
            return None
        caches = self._read.pop(prefix, None)
        if caches is None:
            caches = list(read_alone(self._model, [*prefix, tokens[len(prefix)]], BASE))
        self._read[prefix] = caches
        while len(self._read) > _MOST:
            del self._read[next(iter(self._read))]
        return Begun(self._model.own(deepcopy(caches), BASE), len(prefix))

    def _encode(self, before: Messages) -> tuple[int, ...]:
        """The tokens that every question behind these messages has in front of it."""
        asked = [
            self._model.encode([*before, {"role": "user", "content": text}]) for text in "ab"
        ]
        return tuple(asked[0][: common_prefix(asked)])
