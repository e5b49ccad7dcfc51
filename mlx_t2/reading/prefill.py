"""Prompts → key-value caches, each shared part read once. Differentiable; knows no rewards and
no randomness.

The prefix that all prompts have in common is read in one row, then every prompt's own tail,
then rows are copied for the completions of a prompt. Gradients flow back through all three.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import mlx.core as mx

from mlx_t2.models import OwnedCache, SVFModel

from .row_cache import RowCache, batch_caches


@dataclass
class Rows:
    """Rows of a batch: their caches, and the last token of each, which no cache holds yet."""

    caches: OwnedCache
    last: list[int]

    def take(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order."""
        self.caches.take(mx.array(list(rows)))
        self.last = [self.last[row] for row in rows]

    def repeat(self, copies: Sequence[int]) -> None:
        """Row b so many times as `copies[b]` says, each row's copies in turn."""
        copied = [row for row, times in enumerate(copies) for _ in range(times)]
        alike = len(set(copies)) == 1
        for cache in self.caches:
            if alike and isinstance(cache, RowCache):
                cache.repeat(copies[0])
            else:
                cache.filter(mx.array(copied))
        self.caches.regroup(mx.array(copied))
        self.last = [self.last[row] for row in copied]


@contextmanager
def wearing(model: SVFModel, rows: Rows) -> Iterator[None]:
    """Where each row wears its own scales, the model wears those of `rows` as they are now."""
    with model.using(rows.caches.scales) if model.has_rows else nullcontext():
        yield


def prefill(model: SVFModel, prompts: Sequence[Sequence[int]]) -> Rows:
    """Read all of each prompt but its last token, in one batch: which prompts come out right in
    one is `batching`'s to say.
    """
    shared = 0 if model.has_rows else _common_prefix(prompts)
    rows = Rows(model.owned(batch_caches(model)), [prompts[0][-1]])
    if shared:
        model.extend(mx.array([list(prompts[0][:shared])]), rows.caches)
    rows.repeat([len(prompts)])
    # From here on row b is prompt b, and wears row b of the scales.
    rows = Rows(model.owned(rows.caches), [prompt[-1] for prompt in prompts])
    _read_tails(model, [prompt[shared:-1] for prompt in prompts], rows)
    return rows


def _read_tails(model: SVFModel, tails: list[Sequence[int]], rows: Rows) -> None:
    longest = max(len(tail) for tail in tails)
    if longest == 0:
        return
    padding = [longest - len(tail) for tail in tails]
    for cache in rows.caches:
        cache.prepare(lengths=[len(tail) for tail in tails], right_padding=padding)
    padded = [[*tail, *[0] * pad] for tail, pad in zip(tails, padding, strict=True)]
    model.extend(mx.array(padded), rows.caches)
    for cache in rows.caches:
        cache.finalize()


def alike(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Indices of prompts that begin alike, group by group: what pays to read together.

    A group ends where two neighbours in sorted order share less than half of the shorter.
    """
    groups: list[list[int]] = []
    for i in sorted(range(len(prompts)), key=lambda i: list(prompts[i])):
        if groups:
            pair = [prompts[groups[-1][-1]], prompts[i]]
            if 2 * _common_prefix(pair) >= min(map(len, pair)):
                groups[-1].append(i)
                continue
        groups.append([i])
    return groups


def _common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with, their last ones not counted."""
    first, last = min(map(list, prompts)), max(map(list, prompts))
    limit = min(len(prompt) for prompt in prompts) - 1
    return next((i for i in range(limit) if first[i] != last[i]), limit)
