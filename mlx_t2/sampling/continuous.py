"""Prompts that wait, and rows that join, finish and leave while others are decoded. Knows no
tasks and no text.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, replace

import mlx.core as mx

from mlx_t2.models import SVFModel, check_tokens, fit_answer, limited_memory
from mlx_t2.reading import (
    BaseReadings,
    Rows,
    check_batchable,
    merge_caches,
    plan_prefill,
    prefill,
)
from mlx_t2.svf import ActsOn, Scales, agree, check_scales

from .draw import SamplingConfig, row_keys
from .rows import Decoder, Row, join_scales

_ROOM = 0.2
"""Joining copies the caches: while more prompts wait than there is room for, none joins before
this share of the rows is free.
"""


@dataclass
class _Waiting:
    """A prompt, and the rows that are to answer it."""

    prompt: list[int]
    rows: list[Row]
    read: Rows | None = None
    """The prompt in one row, where some of its rows have been admitted already."""


class Engine:
    """Rows of any length, `max_rows` of them decoded together; the others wait."""

    def __init__(
        self,
        model: SVFModel,
        max_rows: int,
        is_ahead: bool,
        readings: BaseReadings | None = None,
    ):
        """readings: where prompts are looked for, and kept, that the base reads."""
        self._model, self._readings = model, readings
        self._max_rows = max_rows
        self._decoder = Decoder(model, is_ahead)
        self._waiting: list[_Waiting] = []

    def put(self, prompt: Sequence[int], rows: Sequence[Row]) -> None:
        """Answer the prompt with these rows, after all that wait already."""
        self._waiting.append(_Waiting(list(prompt), list(rows)))

    def give_up(self, row: Row) -> None:
        """Draw no more for this row, wherever it is."""
        row.finish_reason = "removed"
        for one in self._waiting:
            one.rows = [other for other in one.rows if other is not row]
        self._waiting = [one for one in self._waiting if one.rows]

    def step(self) -> list[Row]:
        """Draw a token for every row that is decoded; returns those rows, none at the end."""
        if chosen := self._choose():
            unread = [part for part in chosen if part.read is None]
            batches = plan_prefill(
                [p.prompt for p in unread], [p.rows[0].prompt_scales for p in unread]
            )
            parts = [self._prefill([unread[i] for i in batch]) for batch in batches]
            parts += [_copy(part) for part in chosen if part.read is not None]
            rows = [row for rows, _ in parts for row in rows]
            last = [token for _, filled in parts for token in filled.last]
            self._decoder.join(rows, merge_caches([filled.caches for _, filled in parts]), last)
        return self._decoder.step()

    def _choose(self) -> list[_Waiting]:
        """The prompts to be decoded from now on: those that have waited longest, and only part
        of the rows of the last one where there is no room for all.
        """
        room = self._max_rows - self._decoder.count
        wanted = sum(len(one.rows) for one in self._waiting)
        if not wanted or room < min(wanted, max(1, _ROOM * self._max_rows)):
            return []
        chosen = []
        while room and self._waiting:
            one = self._waiting[0]
            chosen.append(_Waiting(one.prompt, one.rows[:room], one.read))
            one.rows = one.rows[room:]
            room -= len(chosen[-1].rows)
            if not one.rows:
                del self._waiting[0]
        return chosen

    def _prefill(self, batch: list[_Waiting]) -> tuple[list[Row], Rows]:
        """The rows of these prompts, read in one batch."""
        first = [one.rows[0] for one in batch]
        worn = [(row.prompt_scales, row.at) for row in first]
        scales, prompts = join_scales(worn, self._model.shapes), [one.prompt for one in batch]
        if self._readings is None or scales:
            filled = prefill(self._model, prompts, scales)
        else:
            filled = self._readings.read(prompts)
        mx.eval([cache.state for cache in filled.caches])  # bounds memory: batch after batch
        for i, one in enumerate(batch):
            if self._waiting and self._waiting[0].prompt is one.prompt:  # more of its rows wait
                self._waiting[0].read = deepcopy(filled)
                self._waiting[0].read.take([i])
        filled.repeat([len(one.rows) for one in batch])
        return [row for one in batch for row in one.rows], filled


def _copy(one: _Waiting) -> tuple[list[Row], Rows]:
    filled = deepcopy(one.read)
    assert filled is not None
    filled.repeat([len(one.rows)])
    return one.rows, filled


@dataclass(frozen=True)
class RowToken:
    """The next token of one row."""

    row: int
    """As `insert` numbered it."""
    token: int
    finish_reason: str | None
    """`stop`, `length`, or None while it goes on."""


class ContinuousBatch:
    """Answers many prompts at once, each under scales of its own; prompts may join at any time.

    Every row's tokens are those that it would get alone. While all rows wear the same arrays,
    they cost what one expert does; else one multiplication more.
    """

    def __init__(self, model: SVFModel, max_rows: int = 32):
        """max_rows: decoded together; the others wait.

        Raises: ModelError for an architecture that mlx-lm cannot batch.
        """
        check_batchable(model)
        self._model = model
        self._engine = Engine(model, max_rows, is_ahead=True)
        self._rows: dict[int, Row] = {}
        self._count = 0
        self._limits = ExitStack()
        self._limits.enter_context(limited_memory())

    def insert(
        self,
        prompt: Sequence[int],
        scales: Scales,
        config: SamplingConfig,
        acts_on: ActsOn = "all",
    ) -> int:
        """Add a prompt; returns the number of its row. The base model is `{}`.

        Rows of either kind may be in one batch. Prompts whose scales act on the answer alone
        are read together, whatever the scales.

        What it draws is what `sample` draws for this prompt alone.
        Raises: ConfigError for an empty prompt; ModelError for one that the model cannot read;
            ShapeError for scales that do not fit.
        """
        check_tokens(self._model, [prompt])
        check_scales(scales, self._model.shapes)
        scales = next(
            (r.scales for r in self._rows.values() if agree(r.scales, scales)), scales
        )
        (key,) = row_keys(config.seed, [(0, 0)])
        fitted = fit_answer(self._model, prompt, config.max_tokens)
        fitting = replace(config, max_tokens=fitted)
        row = Row(self._count, key, fitting, scales, acts_on=acts_on)
        self._rows[row.number] = row
        self._count += 1
        self._engine.put(prompt, [row])
        return row.number

    def step(self) -> list[RowToken]:
        """The next token of every row that is being decoded; none when all is done."""
        got = self._engine.step()
        for row in got:
            if row.finish_reason:
                del self._rows[row.number]
        return [RowToken(row.number, row.tokens[-1], row.finish_reason) for row in got]

    def remove(self, row: int) -> None:
        """Give a row up, wherever it is; nothing for one that has ended."""
        if row in self._rows:
            self._engine.give_up(self._rows.pop(row))

    def close(self) -> None:
        """Give memory limits back; the batch is of no use afterwards."""
        self._limits.close()
