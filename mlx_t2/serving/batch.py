"""Rows that are decoded together, and those that will be. Knows no orders and no text."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

from mlx_t2.models import SVFModel
from mlx_t2.reading import Rows, as_batch, merge_caches
from mlx_t2.sampling import Decoder, Row, has_queue
from mlx_t2.svf import BASE


@dataclass(eq=False)
class _Ready:
    """A prompt that has been read, and the rows that are to go on from it."""

    caches: list
    last: int
    rows: list[Row]


class Batch:
    """Rows that join and leave between two steps.

    Of an architecture that mlx-lm cannot batch, one row is decoded at a time, through mlx-lm's
    own caches.
    """

    def __init__(self, model: SVFModel, max_rows: int, is_single: bool):
        self._model, self._is_single = model, is_single
        self._max_rows = 1 if is_single else max_rows
        self._ready: list[_Ready] = []
        self._decoder = self._begin()
        self._joined: list[Row] = []

    def _begin(self) -> Decoder:
        return Decoder(self._model, has_queue())

    @property
    def decoding(self) -> int:
        """Rows that are decoded."""
        return self._decoder.count

    @property
    def count(self) -> int:
        """Rows that are decoded or about to be."""
        return self.decoding + sum(len(one.rows) for one in self._ready)

    def add(self, rows: Sequence[Row], caches: list, last: int) -> None:
        """Decode these rows from the next step on, or when there is room.

        caches: mlx-lm's own, of one row; all of the rows go on from them, and `last` is what
            they do not hold yet.
        """
        self._ready.append(_Ready(caches, last, list(rows)))

    def step(self) -> list[Row]:
        """Let rows in, and draw a token for each; returns those that have got one, or have
        ended by scores that are NaN or infinite.
        """
        self._join()
        return self._decoder.advance()

    def prune(self) -> None:
        """Give up the memory of rows that have ended."""
        self._ready = [one for one in self._ready if _going(one.rows)]
        self._decoder.prune()

    def extract(self, row: Row, count: int) -> list | None:
        """As `Decoder.extract`."""
        return self._decoder.extract(row, count)

    def start_again(self) -> list[Row]:
        """Forget all caches; returns the rows that were decoded and would go on."""
        rows, self._joined = _going(self._joined), []
        self._decoder = self._begin()
        for row in rows:
            row.drawn = len(row.tokens)
            del row.scores[row.drawn :]
        return rows

    def try_alone(self, row: Row, caches: list, last: int) -> list[Row]:
        """Draw one token for a row by itself, and only then let it join the others: whatever is
        wrong with it happens to it alone.
        """
        if self._is_single:
            self.add([row], caches, last)
            return []
        alone = Decoder(self._model, is_ahead=False)
        alone.join([row], as_batch(caches), [last])
        got = alone.advance()
        rows, batch, tokens = alone.release()
        if rows:
            self._joined.append(row)
            self._decoder.join(rows, batch, tokens)
        return got

    def _join(self) -> None:
        self._joined = _going(self._joined)
        parts = self._choose()
        if not parts:
            return
        rows = [row for part in parts for row in part.rows]
        self._joined += rows  # whatever happens now happens to them, too
        if self._is_single:
            (part,) = parts
            self._decoder.join(rows, part.caches, [part.last])
            return
        batches = [self._repeat(part) for part in parts]
        last = [part.last for part in parts for _ in part.rows]
        self._decoder.join(rows, merge_caches(batches), last)

    def _choose(self) -> list[_Ready]:
        """As many of those that are ready as there is room for, in their order."""
        room, chosen = self._max_rows - self.decoding, []
        for one in self._ready:
            one.rows = _going(one.rows)
            if not one.rows or room <= 0:
                continue
            now, one.rows = one.rows[:room], one.rows[room:]
            caches = deepcopy(one.caches) if one.rows else one.caches
            chosen.append(_Ready(caches, one.last, now))
            room -= len(now)
        self._ready = [one for one in self._ready if one.rows]
        return chosen

    def _repeat(self, part: _Ready) -> list:
        caches = as_batch(part.caches)
        if len(part.rows) == 1:
            return caches
        rows = Rows(self._model.own(caches, BASE), [part.last])
        rows.repeat([len(part.rows)])
        return list(rows.caches)


def _going(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.finish_reason is None]
