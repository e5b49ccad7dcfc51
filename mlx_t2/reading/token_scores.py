"""How probable tokens were, and which would have been the most probable ones. Draws nothing;
knows no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from jaxtyping import Float, Integer


@dataclass(frozen=True)
class Scored:
    """One token's log-probability, on the host."""

    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """(token, log-probability) of the most probable ones, most probable first."""


@dataclass(frozen=True, eq=False)
class TokenScores:
    """Log-probabilities of N tokens, on the device."""

    chosen: Float[mx.array, " N"]
    ids: Integer[mx.array, "N K"]
    top: Float[mx.array, "N K"]
    """Those of `ids`, the most probable tokens, most probable first."""

    @property
    def arrays(self) -> list[mx.array]:
        """All there is to compute."""
        return [self.chosen, self.ids, self.top]

    def read(self, wanted: Sequence[int | None]) -> list[Scored | None]:
        """On the host: token n with its `wanted[n]` most probable ones; None where nobody asks
        for it.
        """
        columns: list[Any] = [array.tolist() for array in self.arrays]
        return [
            None
            if most is None
            else Scored(chosen, tuple(zip(ids[:most], top[:most], strict=True)))
            for most, chosen, ids, top in zip(wanted, *columns, strict=True)
        ]


def score_tokens(
    logits: Float[mx.array, "N vocabulary"], tokens: Integer[mx.array, " N"], most: int
) -> TokenScores:
    """log π of each token, and of the `most` most probable ones in its place.

    >>> scores = score_tokens(mx.log(mx.array([[0.25, 0.75]])), mx.array([0]), 1)
    >>> scores.ids.tolist(), mx.exp(scores.chosen).tolist()
    ([[1]], [0.25])
    """
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    chosen = mx.take_along_axis(logprobs, tokens[:, None], axis=-1).squeeze(-1)
    most = min(most, logits.shape[-1])
    if not most:
        empty = mx.zeros((logits.shape[0], 0))
        return TokenScores(chosen, empty.astype(mx.uint32), empty)
    ids = mx.argpartition(-logprobs, most - 1, axis=-1)[:, :most]
    top = mx.take_along_axis(logprobs, ids, axis=-1)
    order = mx.argsort(-top, axis=-1)
    return TokenScores(
        chosen, mx.take_along_axis(ids, order, -1), mx.take_along_axis(top, order, -1)
    )
