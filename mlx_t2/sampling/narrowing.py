"""Scores → scores of what may be drawn: the nucleus, and less of what was said already. Draws
nothing, and costs nothing where nobody asks for it.
"""

from collections.abc import Mapping, Sequence

import mlx.core as mx
from jaxtyping import Float, Integer

from .draw import SamplingConfig

REPEATED = 64
"""How many of an answer's last tokens are made less probable."""


def is_narrow(config: SamplingConfig) -> bool:
    """Whether anything is left out of what these settings draw from."""
    return config.top_p < 1 or config.top_k > 0 or config.min_p > 0


def penalize(
    logits: Float[mx.array, "B vocabulary"],
    repeated: Sequence[Sequence[int]],
    last: Integer[mx.array, " B"],
    penalties: Sequence[float],
) -> Float[mx.array, "B vocabulary"]:
    """Scores of the tokens of each row divided by its penalty where they are positive, and
    multiplied by it where they are not. A penalty of 1 changes nothing.

    repeated: each row's tokens as far as the host knows them; `last` may be one more.
    Source: Keskar et al. 2019, arXiv:1909.05858, section 4.1.

    >>> penalize(mx.array([[2.0, -1.0, 3.0]]), [[0, 1]], mx.array([0]), [2.0])
    array([[1, -2, 3]], dtype=float32)
    """
    longest = max(map(len, repeated))
    rows = [[*tokens, *[-1] * (longest - len(tokens))] for tokens in repeated]
    ids = mx.concatenate([mx.array(rows, dtype=mx.int32), last.astype(mx.int32)[:, None]], 1)
    ids = mx.where(ids < 0, ids[:, -1:], ids)
    factors = mx.array(list(penalties), dtype=logits.dtype)[:, None]
    found = mx.take_along_axis(logits, ids, axis=-1)
    less = mx.where(found > 0, found / factors, found * factors)
    return mx.put_along_axis(logits, ids, less, axis=-1)


def discourages(config: SamplingConfig) -> bool:
    """Whether these settings make what has been said less probable by a fixed amount."""
    return bool(config.presence_penalty or config.frequency_penalty)


def discourage(
    logits: Float[mx.array, "B vocabulary"],
    counts: Sequence[Mapping[int, int]],
    last: Integer[mx.array, " B"],
    is_unread: Sequence[bool],
    configs: Sequence[SamplingConfig],
) -> Float[mx.array, "B vocabulary"]:
    """Scores less frequency_penalty times the token's count, less presence_penalty where the
    count is not 0.

    counts: of the tokens of each row's answer, as far as the host knows them.
    last, is_unread: one more token, and whether the host does not know it yet.
    Source: OpenAI's API reference, "frequency_penalty" and "presence_penalty".

    >>> config = SamplingConfig(presence_penalty=1.0, frequency_penalty=0.5)
    >>> discourage(mx.array([[3.0, 3.0, 3.0]]), [{0: 2}], mx.array([1]), [True], [config])
    array([[1, 1.5, 3]], dtype=float32)
    """
    longest = max(1, *map(len, counts)) if counts else 1
    ids = mx.array([[*row, *[0] * (longest - len(row))] for row in counts], dtype=mx.int32)
    presence, frequency = (
        mx.array(column, dtype=logits.dtype)[:, None]
        for column in zip(
            *((c.presence_penalty, c.frequency_penalty) for c in configs), strict=True
        )
    )
    counted = [[*row.values(), *[0] * (longest - len(row))] for row in counts]
    times = mx.array(counted, dtype=logits.dtype)
    less = mx.where(times > 0, frequency * times + presence, 0)
    token = last.astype(mx.int32)[:, None]
    is_new = mx.logical_not(mx.any((ids == token) & (times > 0), axis=1, keepdims=True))
    once_more = frequency + mx.where(is_new, presence, 0)
    once_more = mx.where(mx.array(list(is_unread))[:, None], once_more, 0)
    rows = mx.arange(len(counts))[:, None]
    return logits.at[rows, ids].add(-less).at[rows, token].add(-once_more)


def narrow(
    logits: Float[mx.array, "B vocabulary"], configs: Sequence[SamplingConfig]
) -> Float[mx.array, "B vocabulary"]:
    """−∞ for every token that a row may not draw. The most probable one always may.

    All three limits look at the probabilities at temperature 1, as mlx-lm's samplers do.
    top_p: Holtzman et al. 2020, arXiv:1904.09751; min_p: Nguyen et al. 2024, arXiv:2407.01082.

    >>> scores = mx.log(mx.array([[0.5, 0.3, 0.2]]))
    >>> kept = narrow(scores, [SamplingConfig(top_p=0.6)])
    >>> mx.softmax(kept).tolist()[0][2]
    0.0
    """
    p = mx.softmax(logits, axis=-1)
    order = mx.argsort(-p, axis=-1)
    ranked = mx.take_along_axis(p, order, axis=-1)
    before = mx.cumsum(ranked, axis=-1) - ranked
    top_p, top_k, min_p = (
        mx.array(column)[:, None]
        for column in zip(
            *((c.top_p, c.top_k or logits.shape[-1], c.min_p) for c in configs), strict=True
        )
    )
    rank = mx.arange(logits.shape[-1])[None]
    is_kept = (before < top_p) & (rank < top_k) & (ranked >= min_p * ranked[:, :1])
    kept = mx.put_along_axis(mx.zeros_like(is_kept), order, is_kept | (rank == 0), axis=-1)
    is_sound = mx.isfinite(mx.logsumexp(logits, axis=-1, keepdims=True))  # else left to be seen
    return mx.where(kept | ~is_sound, logits, -mx.inf)
