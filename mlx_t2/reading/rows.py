"""Prompts → key-value caches, each shared part read once. Differentiable; knows no rewards and
no randomness.

The prefix that all prompts have in common is read in one row, then every prompt's own tail,
then rows are copied for the completions of a prompt. Gradients flow back through all three.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from mlx_t2.models import OwnedCache, SVFModel
from mlx_t2.svf import Scales

from .row_cache import RowCache, batch_caches

CHUNK = 2048
"""Columns that a prompt read alone is read in at a time, as mlx-lm does."""
PASS = 32
"""What a forward pass costs whatever it reads [tokens]."""


@dataclass
class Rows:
    """Rows of a batch: their caches, and the last token of each, which no cache holds yet."""

    caches: OwnedCache
    last: list[int]

    def take(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order."""
        self.caches.take(rows)
        self.last = [self.last[row] for row in rows]

    def repeat(self, copies: Sequence[int]) -> None:
        """Row b, `copies[b]` times, each row's copies in turn."""
        copied = [row for row, times in enumerate(copies) for _ in range(times)]
        is_even = len(set(copies)) == 1
        for cache in self.caches:
            if is_even and isinstance(cache, RowCache):
                cache.repeat(copies[0])
            else:
                cache.filter(copied)
        self.caches.regroup(copied)
        self.last = [self.last[row] for row in copied]


def prefill(
    model: SVFModel, prompts: Sequence[Sequence[int]], scales: Scales | None = None
) -> Rows:
    """Read all of each prompt but its last token, in one batch: which prompts may be read in
    one is `batching`'s to say. The last token is to be read under what the model wears.

    scales: that the prompts are read under, and their last tokens too. Unless given, those worn
        now, or the base where these act on the answer alone. Where they have rows, prompt b is
        read under row b.
    """
    under = model.prompt_scales if scales is None else scales
    one = Rows(model.own(batch_caches(model), under), [prompts[0][-1]])
    shared = 0 if one.caches.has_rows else common_prefix(prompts)
    if shared:
        model.extend(mx.array([list(prompts[0][:shared])]), one.caches)
    one.repeat([len(prompts)])
    # From here on row b is prompt b, and is read under row b of the scales.
    rows = Rows(model.own(one.caches, under), [prompt[-1] for prompt in prompts])
    _read_tails(model, [prompt[shared:-1] for prompt in prompts], rows)
    rows.caches = model.own(rows.caches, scales)
    return rows


def _read_tails(model: SVFModel, tails: list[Sequence[int]], rows: Rows) -> None:
    longest = max(len(tail) for tail in tails)
    if longest == 0:
        return
    if longest == 1 and not all(tails):
        longest = 2  # a rotating cache takes one token for decoding, which no row may pad
    padding = [longest - len(tail) for tail in tails]
    for cache in rows.caches:
        cache.prepare(lengths=[len(tail) for tail in tails], right_padding=padding)
    padded = [[*tail, *[0] * pad] for tail, pad in zip(tails, padding, strict=True)]
    model.extend(mx.array(padded), rows.caches)
    for cache in rows.caches:
        cache.finalize()


@dataclass
class Begun:
    """Caches that hold the beginning of a prompt, at most all but its last token. Whoever reads
    on uses them up.
    """

    caches: OwnedCache
    count: int
    """Tokens that they hold."""


def read_alone(
    model: SVFModel,
    prompt: Sequence[int],
    scales: Scales | None = None,
    begun: Begun | None = None,
) -> OwnedCache:
    """Read all of a prompt but its last token through mlx-lm's own caches, which serve every
    architecture. A long prompt is read piece by piece; not differentiable then.

    scales: as in `prefill`.
    begun: what has been read of it already, under those scales.
    """
    if begun is None:
        begun = Begun(model.new_cache(model.prompt_scales if scales is None else scales), 0)
    caches = begun.caches
    for start in range(begun.count, len(prompt) - 1, CHUNK):
        end = min(start + CHUNK, len(prompt) - 1)
        model.extend(mx.array([list(prompt[start:end])]), caches)
        if end < len(prompt) - 1:
            mx.eval([cache.state for cache in caches])  # bounds the memory of a piece
    return model.own(caches, scales)


def plan_prefill(
    prompts: Sequence[Sequence[int]], scales: Sequence[Scales], limit: int = 8192
) -> list[list[int]]:
    """Indices of the prompts that it pays to prefill in one batch, batch by batch.

    A batch reads what all its prompts begin with once, and pads the rest to its longest prompt:

        a a a 1 2 3 4         the prefix in one row, 3 tokens,
              5 6 · ·         then 3 rows of 4: 15 tokens in place of 19 without the prefix,
              7 8 9 ·         of which 3 are padding

    Prompts that begin alike are together first; then neighbours in length join where the batch
    reads at most a quarter more than both apart. What is read under unlike scales has no prefix
    in common.

    scales: of each prompt; alike where they are the same object.
    limit: of a batch that is joined [tokens, padding among them].
    """
    batches = [_Batch.of(prompts, scales, group) for group in _alike(prompts, scales)]
    joined: list[_Batch] = []
    for batch in sorted(batches, key=lambda batch: batch.longest):
        if joined:
            both = _Batch.of(prompts, scales, [*joined[-1].index, *batch.index])
            if both.cost <= min(limit, 1.25 * (joined[-1].cost + batch.cost)):
                joined[-1] = both
                continue
        joined.append(batch)
    return [batch.index for batch in joined]


@dataclass(frozen=True)
class _Batch:
    """Prompts of one batch, and what reading them takes."""

    index: list[int]
    longest: int
    cost: int
    """Tokens that are read, padding among them, and the pass itself."""

    @classmethod
    def of(
        cls, prompts: Sequence[Sequence[int]], scales: Sequence[Scales], index: list[int]
    ) -> "_Batch":
        chosen = [prompts[i] for i in index]
        is_one = all(scales[i] is scales[index[0]] for i in index)
        shared, longest = common_prefix(chosen) if is_one else 0, max(map(len, chosen))
        return cls(index, longest, PASS + shared + len(index) * (longest - 1 - shared))


def _alike(prompts: Sequence[Sequence[int]], scales: Sequence[Scales]) -> list[list[int]]:
    """Indices of prompts that begin alike under the same scales, group by group.

    A group ends where two neighbours in sorted order share less than half of the shorter.
    """
    groups: list[list[int]] = []
    owners = {id(one): first for first, one in reversed(list(enumerate(scales)))}
    for i in sorted(range(len(prompts)), key=lambda i: (owners[id(scales[i])], [*prompts[i]])):
        if groups and scales[groups[-1][-1]] is scales[i]:
            pair = [prompts[groups[-1][-1]], prompts[i]]
            if 2 * common_prefix(pair) >= min(map(len, pair)):
                groups[-1].append(i)
                continue
        groups.append([i])
    return groups


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with, their last ones not counted."""
    first, last = min(map(list, prompts)), max(map(list, prompts))
    limit = min(len(prompt) for prompt in prompts) - 1
    return next((i for i in range(limit) if first[i] != last[i]), limit)
