"""Rows of a batch, decoded token by token: the one decoding loop. Knows caches; knows no text
and no prompts that wait.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import mlx.core as mx

from mlx_t2.models import OwnedCache, SVFModel, explain_scores
from mlx_t2.reading import RowCache, Scored, TokenScores, merge_caches, score_tokens
from mlx_t2.svf import BASE, ActsOn, Scales, Shapes, stack_rows, take_rows

from .draw import NOT_FINITE, Key, SamplingConfig, draw_tokens, uniforms_at
from .narrowing import REPEATED, discourage, discourages, is_narrow, narrow, penalize

_KEPT = 0.8
"""Copying the caches costs about as much as it saves while more than this share of the rows go
on.
"""


@dataclass(eq=False)
class Row:
    """One completion that is being drawn."""

    number: int
    """As its caller counts rows."""
    key: Key
    """The key of its random numbers."""
    config: SamplingConfig
    scales: Scales
    """That it is read under: its own, or those of many rows."""
    at: int = 0
    """Which of those rows it is."""
    acts_on: ActsOn = "all"
    """What of it is read under the scales."""
    tokens: list[int] = field(default_factory=list)
    """Drawn so far, as the host knows them."""
    drawn: int = 0
    """Tokens drawn so far, the one among them that the host does not know yet."""
    finish_reason: str | None = None
    """`stop`, `length`, `scores` where they are NaN or infinite, or whatever its owner ends it
    with; None while it goes on.
    """
    scored: int | None = None
    """How many of the most probable tokens are to be known at each place; None: no scores."""
    scores: list[Scored] = field(default_factory=list)
    """Those of its tokens, where they are asked for, before any limits."""
    counts: Counter[int] = field(default_factory=Counter)
    """How often it has each token, where its settings ask."""

    @property
    def prompt_scales(self) -> Scales:
        """That its prompt is read under, but for the last token."""
        return self.scales if self.acts_on == "all" and self.scales else BASE

    def take(self, token: int, ends: bool) -> None:
        """The next token is known, and whether it ends an answer."""
        self.tokens.append(token)
        if discourages(self.config):
            self.counts[token] += 1
        if ends:
            self.finish_reason = "stop"
        elif len(self.tokens) == self.config.max_tokens:
            self.finish_reason = "length"


class Decoder:
    """Rows that are decoded together, each under its own scales, one token per step.

    The tokens drawn are the next input as they lie on the device. Where the device has a queue
    of its own, the host reads them one step late: step t + 1 is under way while it looks at t.

        device   draw t ───── draw t + 1 ───── draw t + 2
        host            read t ───────── read t + 1

    A row that ends at t has then drawn once more, for nothing: where many short answers are
    drawn on a CPU, that is more than is gained.

    A row that has ended stays in the batch until enough have, and draws on unheard.
    """

    def __init__(self, model: SVFModel, is_ahead: bool):
        self._model = model
        self._is_ahead = is_ahead
        self._rows: list[Row] = []
        self._caches: OwnedCache = model.own([])
        self._last = mx.array([], dtype=mx.uint32)
        """The last token of each row, which no cache holds yet."""
        self._is_unread = False
        """The last tokens were drawn, and the host has not read them."""
        self._scores: list[tuple[list[Row], TokenScores]] = []
        """Those of the last tokens drawn, where anybody asks."""

    @property
    def count(self) -> int:
        """The number of rows that go on."""
        return sum(row.finish_reason is None for row in self._rows)

    def join(self, rows: Sequence[Row], caches: list, last: Sequence[int]) -> None:
        """Decode these rows too; their caches hold all of the prompts but the last tokens."""
        self.prune()
        tokens = mx.array(list(last), dtype=mx.uint32)
        if not self._rows:
            self._hold(list(rows), caches, tokens)
            return
        if self._is_unread:  # those here are a token ahead
            new = Decoder(self._model, self._is_ahead)
            new.join(rows, caches, last)
            new._draw()
            caches, tokens = new._caches, new._last
            self._scores += new._scores
        merged = merge_caches([self._caches, caches])
        self._hold([*self._rows, *rows], merged, mx.concatenate([self._last, tokens]))

    def step(self) -> list[Row]:
        """Draw a token for every row; returns the rows that have got one.

        Raises: ScoresError for scores that are NaN or infinite.
        """
        got = self.advance()
        for row in got:
            if row.finish_reason == "scores":
                raise explain_scores(self._model, row.scales)
        return got

    def advance(self) -> list[Row]:
        """As `step`, but scores that are NaN or infinite end the row that has them, with the
        finish reason `scores`; the others go on.
        """
        if len(self._rows) and self.count <= _KEPT * len(self._rows):
            self.prune()
        if not self._rows:
            return []
        if not self._is_unread:
            self._draw()
        drawn, scores, self._is_unread = self._last, self._scores, False
        if self._is_ahead and any(self._goes_on(row) for row in self._rows):
            self._draw()
        tokens: list[int] = drawn.tolist()  # pyright: ignore[reportAssignmentType]  of one axis
        got = [row for row in self._rows if row.finish_reason is None]
        for rows, found in scores:
            _hand_out(rows, found)
        for row, token in zip(self._rows, tokens, strict=True):
            if row.finish_reason is None:
                if token == NOT_FINITE:
                    row.finish_reason = "scores"
                else:
                    row.take(token, token in self._model.eos_ids)
        return got

    def prune(self) -> None:
        """Let the rows go that have ended, and what is held for them."""
        going = [i for i, row in enumerate(self._rows) if row.finish_reason is None]
        if len(going) < len(self._rows):
            self._keep(going)

    def release(self) -> tuple[list[Row], list, list[int]]:
        """The rows that go on, for another decoder to `join`: with their caches, and their last
        tokens, all of which the host knows.
        """
        assert not self._is_unread
        self.prune()
        rows, caches, last = self._rows, list(self._caches), [r.tokens[-1] for r in self._rows]
        self._hold([], [], self._last[:0])
        return rows, caches, last

    def extract(self, row: Row, count: int) -> list | None:
        """A copy of what the caches hold of a row's first `count` tokens, as mlx-lm's own
        caches of one row; None where they cannot forget what is behind those, or where the row
        has left.
        """
        if row not in self._rows or not all(type(c) is RowCache for c in self._caches):
            return None
        at = self._rows.index(row)
        return [cache.extract(at, count) for cache in self._caches]

    def _goes_on(self, row: Row) -> bool:
        """Unless the token that the host does not know yet ends the row."""
        return row.finish_reason is None and row.drawn < row.config.max_tokens

    def _draw(self) -> None:
        at, rows = mx.arange(len(self._rows)), self._rows
        # A row without a token reads the first one until the host knows: no table has that id.
        last = mx.where(self._last == NOT_FINITE, 0, self._last)
        logits = self._model.logits_at(last[:, None], self._caches, at)
        temperatures, uniforms = [row.config.temperature for row in rows], None
        if any(temperatures):
            uniforms = uniforms_at([row.key for row in rows], [row.drawn for row in rows])
        self._last = draw_tokens(self._limit(logits, last), temperatures, uniforms)
        self._scores = self._score(logits)
        mx.async_eval(self._last, *(found.arrays for _, found in self._scores))
        self._is_unread = True
        for row in rows:
            row.drawn += 1

    def _score(self, logits: mx.array) -> list[tuple[list[Row], TokenScores]]:
        """Scores of the tokens just drawn; nothing where no row asks."""
        at = [i for i, row in enumerate(self._rows) if row.scored is not None]
        if not at:
            return []
        rows, chosen = [self._rows[i] for i in at], mx.array(at)
        most = max(row.scored or 0 for row in rows)
        drawn = mx.where(self._last == NOT_FINITE, 0, self._last)[chosen]
        return [(rows, score_tokens(logits[chosen], drawn, most))]

    def _limit(self, logits: mx.array, last: mx.array) -> mx.array:
        """The scores as the rows' settings have them drawn from; most have no such settings."""
        configs = [row.config for row in self._rows]
        penalties = [
            # a row that has drawn nothing repeats nothing: its last token is the prompt's
            row.config.repetition_penalty if row.drawn else 1.0
            for row in self._rows
        ]
        if any(penalty != 1 for penalty in penalties):
            said = [row.tokens[-REPEATED:] for row in self._rows]
            logits = penalize(logits, said, last, penalties)
        if any(map(discourages, configs)):
            counts = [row.counts for row in self._rows]
            is_unread = [row.drawn > len(row.tokens) for row in self._rows]
            logits = discourage(logits, counts, last, is_unread, configs)
        return narrow(logits, configs) if any(map(is_narrow, configs)) else logits

    def _keep(self, kept: Sequence[int]) -> None:
        if not kept:
            self._hold([], [], self._last[:0])
            self._is_unread, self._scores = False, []
            return
        for cache in self._caches:
            cache.filter(list(kept))
        self._hold(
            [self._rows[i] for i in kept], self._caches, self._last[mx.array(list(kept))]
        )

    def _hold(self, rows: list[Row], caches: list, last: mx.array) -> None:
        self._rows, self._last = rows, last
        scales = join_scales([(r.scales, r.at) for r in rows], self._model.shapes)
        self._caches = self._model.own(caches, scales)


def has_queue() -> bool:
    """Whether the device has a queue of its own, see `Decoder`."""
    return mx.default_device() != mx.Device(mx.cpu)


def _hand_out(rows: Sequence[Row], found: TokenScores) -> None:
    wanted = [row.scored if row.finish_reason is None else None for row in rows]
    for row, scored in zip(rows, found.read(wanted), strict=True):
        if scored is not None:
            row.scores.append(scored)


def join_scales(rows: Sequence[tuple[Scales, int]], shapes: Shapes) -> Scales:
    """What rows wear together, of scales and which row of them each wears: plain where they
    agree, else one z per row, ones where a row wears nothing.
    """
    if not rows:
        return BASE
    first = rows[0][0]
    if all(scales is first for scales, _ in rows):
        if all(z.ndim == len(shapes[path]) for path, z in first.items()):
            return first
        return take_rows(first, shapes, mx.array([at for _, at in rows]))
    return stack_rows([_own(scales, at, shapes) for scales, at in rows])


def _own(scales: Scales, at: int, shapes: Shapes) -> Scales:
    """The scales of one row alone."""
    return {p: z[at] if z.ndim > len(shapes[p]) else z for p, z in scales.items()}
