"""Rows that come and go, each wearing its own scales: mlx-lm's continuous batching, unchanged.

mlx-lm treats a row's caches as an opaque list that it merges, filters, splits and extends
alike. One more entry in that list, the row's scales, is therefore carried wherever the row
goes, and no row can meet another's expert. Knows mlx-lm's batch generator; knows no tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import make_prompt_cache

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.reading import check_batchable
from mlx_t2.svf import Scales, check_scales

from .draws import SamplingConfig, draw


@dataclass(frozen=True)
class RowToken:
    """The next token of one row."""

    row: int
    """As `insert` numbered it."""
    token: int
    finish_reason: str | None
    """`stop`, `length`, or None while it goes on."""


class RowScales:
    """The scales of the rows of a batch, in the form of one more cache of mlx-lm's."""

    def __init__(self, rows: Sequence[Scales]):
        self.rows = list(rows)
        self._stacked: Scales | None = None

    def together(self) -> Scales:
        """The scales that all rows wear: plain where they agree, else one z a row."""
        if self._stacked is None:
            first = self.rows[0]
            alike = all(scales is first for scales in self.rows)
            self._stacked = first if alike else _stacked(self.rows)
        return self._stacked

    # What mlx-lm calls on a cache

    @classmethod
    def merge(cls, caches: Sequence["RowScales"]) -> "RowScales":
        """One batch of these rows."""
        return cls([scales for cache in caches for scales in cache.rows])

    def extend(self, other: "RowScales") -> None:
        """More rows, behind the ones here."""
        self.rows, self._stacked = self.rows + other.rows, None

    def filter(self, keep: Sequence[int]) -> None:
        """These rows, in this order."""
        self.rows, self._stacked = [self.rows[int(i)] for i in keep], None

    def extract(self, row: int) -> "RowScales":
        """One row's."""
        return RowScales([self.rows[row]])

    def prepare(self, **_: Any) -> None:
        """Padding does not concern scales."""

    def finalize(self) -> None:
        """Nor does its end."""

    def is_trimmable(self) -> bool:
        """Scales are the same at every position."""
        return True

    def trim(self, count: int) -> int:
        """See `is_trimmable`."""
        return count

    def size(self) -> int:
        """No tokens are kept here."""
        return 0

    def empty(self) -> bool:
        """Never asked of the last cache; no tokens are kept here."""
        return True

    @property
    def state(self) -> list[mx.array]:
        """Nothing that a prefill has to wait for."""
        return []

    @property
    def nbytes(self) -> int:
        """Scales are shared by all rows that wear them."""
        return 0

    def __deepcopy__(self, _: Mapping) -> "RowScales":
        return RowScales(self.rows)


def _stacked(rows: Sequence[Scales]) -> Scales:
    """{path: (rows, *shape)}; 1 where a row wears nothing there."""
    shapes = {path: z.shape for scales in rows for path, z in scales.items()}
    return {
        path: mx.stack([s[path] if path in s else mx.ones(shape) for s in rows])
        for path, shape in shapes.items()
    }


class _RowNetwork(nn.Module):
    """The network as mlx-lm sees it: wears the scales that come behind the caches."""

    def __init__(self, model: SVFModel):
        super().__init__()
        self._model = model

    def make_cache(self) -> list:
        return make_prompt_cache(self._model.network)

    def __call__(self, tokens: mx.array, cache: list) -> mx.array:
        *caches, rows = cache
        with self._model.using(rows.together()):
            return self._model.network(tokens, cache=caches)


class ContinuousBatch:
    """Answers many prompts at once, each under scales of its own; prompts may join at any time.

    Every row's tokens are those that it would get alone. Rows that all wear the same mapping of
    scales (the same object) cost what one does; others one multiplication more.
    """

    def __init__(self, model: SVFModel, max_rows: int = 32):
        """max_rows: decoded together; the rest waits.

        Raises: ModelError for an architecture that mlx-lm cannot batch.
        """
        check_batchable(model)
        self._model = model
        self._network = _RowNetwork(model)
        self._engine = BatchGenerator(
            self._network,
            stop_tokens=[[token] for token in sorted(model.eos_ids)],
            completion_batch_size=max_rows,
            prefill_batch_size=min(8, max_rows),
        )

    def insert(self, prompt: Sequence[int], scales: Scales, config: SamplingConfig) -> int:
        """Add a prompt; returns the number of its row. The base model is `{}`.

        Raises: ConfigError for an empty prompt; ShapeError for scales that do not fit.
        """
        if not prompt:
            raise ConfigError("prompt: got no tokens, expected at least one")
        check_scales(scales, self._model.shapes)
        (row,) = self._engine.insert(
            [list(prompt)],
            max_tokens=[config.max_tokens],
            caches=[[*self._network.make_cache(), RowScales([scales])]],
            samplers=[_sampler(config)],  # pyright: ignore[reportArgumentType]  None is greedy
        )
        return row

    def step(self) -> list[RowToken]:
        """The next token of every row that is being decoded; none when all is done."""
        return [
            RowToken(response.uid, response.token, response.finish_reason)
            for response in self._engine.next_generated()
        ]

    def remove(self, row: int) -> None:
        """Give a row up, wherever it is."""
        self._engine.remove([row])

    def close(self) -> None:
        """Give memory limits back; the batch is of no use afterwards."""
        self._engine.close()


def _sampler(config: SamplingConfig):
    """mlx-lm's form of our draws: the row's own numbers, whoever is beside it."""
    if config.temperature == 0:
        return None  # mlx-lm's greedy one, shared by all such rows and called once
    uniforms = iter(
        mx.random.uniform(shape=(config.max_tokens + 1, 1), key=mx.random.key(config.seed))
    )

    def sampler(logprobs: mx.array) -> mx.array:
        return draw(logprobs.astype(mx.float32), config.temperature, next(uniforms))

    return sampler
