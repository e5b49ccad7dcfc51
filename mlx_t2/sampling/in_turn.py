"""More rows than are decoded together: mlx-lm's batch generator, finished rows leaving and
waiting ones joining. Knows no rewards.

mlx-lm treats a row's caches as an opaque list; which row it is travels as one more entry of
that list, as the scales do in `continuous`.
"""

from collections.abc import Sequence
from contextlib import nullcontext

import mlx.core as mx
import mlx.nn as nn
from jaxtyping import Float, Integer
from mlx_lm.generate import BatchGenerator

from mlx_t2.models import SVFModel
from mlx_t2.reading import prefill
from mlx_t2.svf import Scales, take_rows

from .draws import SamplingConfig, draw


class RowNumbers:
    """Which rows are in a batch, and how many tokens each has drawn, in the form of one more
    cache of mlx-lm's.
    """

    def __init__(self, rows: Integer[mx.array, " B"], drawn: Integer[mx.array, " B"]):
        self.rows = rows
        self.drawn = drawn
        self.scales: Scales | None = None
        """What these rows wear, each its own; None until it is asked for."""

    @classmethod
    def merge(cls, caches: Sequence["RowNumbers"]) -> "RowNumbers":
        """One batch of these rows."""
        rows = mx.concatenate([cache.rows for cache in caches])
        return cls(rows, mx.concatenate([cache.drawn for cache in caches]))

    def extend(self, other: "RowNumbers") -> None:
        """More rows, behind the ones here."""
        self.__dict__ = RowNumbers.merge([self, other]).__dict__

    def filter(self, keep: Sequence[int]) -> None:
        """These rows, in this order."""
        at = mx.array(list(keep))
        self.rows, self.drawn, self.scales = self.rows[at], self.drawn[at], None

    def extract(self, row: int) -> "RowNumbers":
        """One row's."""
        return RowNumbers(self.rows[row : row + 1], self.drawn[row : row + 1])


class _Drawing(nn.Module):
    """The network as mlx-lm sees it, and its sampler: each row draws with its own numbers."""

    def __init__(
        self,
        model: SVFModel,
        copies: int,
        temperature: float,
        uniforms: Float[mx.array, "T B"],
    ):
        super().__init__()
        self._model, self._copies, self._temperature = model, copies, temperature
        self._uniforms = uniforms
        self._worn = model.worn if model.has_rows else None
        self._last: tuple[RowNumbers, mx.array] | None = None

    def __call__(self, tokens: mx.array, cache: list) -> mx.array:
        *caches, rows = cache
        with nullcontext() if self._worn is None else self._model.using(self._scales(rows)):
            logits = self._model.logits_at(tokens, caches, mx.arange(tokens.shape[0]))
        self._last = rows, logits
        return logits[:, None]

    def _scales(self, rows: RowNumbers) -> Scales:
        if rows.scales is None:
            prompts = rows.rows // self._copies
            rows.scales = take_rows(self._worn or {}, self._model.shapes, prompts)
        return rows.scales

    def sampler(self, _: mx.array) -> mx.array:
        """The next token of every row of the last call, from its scores as they came."""
        assert self._last is not None
        rows, logits = self._last
        # mlx-lm is a token ahead: a row at its limit draws once more, which is thrown away
        at = mx.minimum(rows.drawn, self._uniforms.shape[0] - 1)
        tokens = draw(logits, self._temperature, self._uniforms[at, rows.rows])
        rows.drawn = rows.drawn + 1
        return tokens


def decode_in_turn(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    uniforms: Float[mx.array, "T B"],
    max_rows: int,
) -> list[list[int]]:
    """The tokens of each copy of each prompt in turn, no more than `max_rows` rows decoded at a
    time. In memory are their caches, and one row a prompt.
    """
    total = uniforms.shape[1]
    network = _Drawing(model, total // len(prompts), config.temperature, uniforms)
    engine = BatchGenerator(
        network,
        stop_tokens=[[token] for token in sorted(model.eos_ids)],
        sampler=network.sampler,
        completion_batch_size=max_rows,
        prefill_batch_size=max_rows,
    )
    try:
        engine.insert(
            [[prompt[-1]] for prompt in prompts for _ in range(total // len(prompts))],
            max_tokens=[config.max_tokens] * total,
            caches=_forked(model, prompts, total // len(prompts)),
        )
        drawn: list[list[int]] = [[] for _ in range(total)]
        while responses := engine.next_generated():
            for response in responses:
                drawn[response.uid].append(response.token)
        return drawn
    finally:
        engine.close()  # gives memory limits back


def _forked(model: SVFModel, prompts: Sequence[Sequence[int]], copies: int) -> list[list]:
    """The caches of every copy of each prompt: the same arrays, until mlx-lm merges them."""
    caches = prefill(model, prompts).caches
    forked: list[list] = []
    for i in range(len(prompts)):
        row = [cache.extract(i) for cache in caches]
        mx.eval([cache.state for cache in row])  # the batch's caches may go then
        for k in range(copies):
            numbers = RowNumbers(mx.array([i * copies + k]), mx.array([0]))
            forked.append([*row, numbers])
    return forked
