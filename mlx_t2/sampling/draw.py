"""Numbers → tokens. Owns the randomness of sampling; knows no model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from jaxtyping import Float, Integer

from mlx_t2.errors import ConfigError

Key = tuple[int, int]
"""A key of MLX's generator, on the host."""


NOT_FINITE = 2**32 - 1
"""In place of a token: its scores are NaN or infinite."""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How completions are drawn."""

    temperature: float = 1.0
    """0 is greedy."""
    max_tokens: int = 512
    """Longest completion [tokens], prompt not counted."""
    seed: int = 0
    """Same seed, prompts and weights: same completions, whatever else is in the batch."""
    max_rows: int | None = None
    """Rows decoded together, which bounds memory; the others wait. All of them where None."""
    top_p: float = 1.0
    """Drawn from the most probable tokens that have this probability together; 1 is all."""
    top_k: int = 0
    """Drawn from this many most probable tokens; 0 is all."""
    min_p: float = 0.0
    """Drawn from tokens at least this share as probable as the most probable one; 0 is all."""
    repetition_penalty: float = 1.0
    """Makes what the answer's last tokens were less probable, see `penalize`; 1 is off."""
    presence_penalty: float = 0.0
    """Taken off the score of every token that the answer has already, see `discourage`."""
    frequency_penalty: float = 0.0
    """Taken off the score of a token as often as the answer has it already."""

    def __post_init__(self):
        if self.temperature < 0:
            raise ConfigError(f"temperature: got {self.temperature}, expected 0 or more")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p: got {self.top_p}, expected more than 0, at most 1")
        if self.top_k < 0:
            raise ConfigError(f"top_k: got {self.top_k}, expected 0 or more")
        if not 0 <= self.min_p < 1:
            raise ConfigError(f"min_p: got {self.min_p}, expected 0 or more, less than 1")
        if not 0 < self.repetition_penalty < math.inf:
            raise ConfigError(
                f"repetition_penalty: got {self.repetition_penalty}, expected more than 0"
            )
        penalties = (self.presence_penalty, self.frequency_penalty)
        for name, value in zip(("presence", "frequency"), penalties, strict=True):
            if not math.isfinite(value):
                raise ConfigError(f"{name}_penalty: got {value}, expected a finite number")
        if not 0 <= self.seed < 2**64:
            raise ConfigError(f"seed: got {self.seed}, expected 0 or more, less than 2^64")
        if self.max_tokens < 1:
            raise ConfigError(f"max_tokens: got {self.max_tokens}, expected 1 or more")
        if self.max_rows is not None and self.max_rows < 1:
            raise ConfigError(f"max_rows: got {self.max_rows}, expected 1 or more")


def row_keys(seed: int, rows: Sequence[tuple[int, int]]) -> list[Key]:
    """The key of each row's random numbers, for (number of its prompt, copy).

    A key is two words, and so is a row. MLX's generator is a hash of key and counter, so the
    row could be put into the key by xor at once, if seeds and rows were not both small numbers:
    0 ^ 1 is 1 ^ 0, and seed 0's row 1 would draw what seed 1's row 0 draws. So the seed is
    mixed (split) before the row is put in, and the result is mixed again before `uniforms_at`
    puts the place of the token in:

        seed → split → ^ (prompt, copy) → split → ^ (0, t) → number t of the row

    Neighbouring seeds, rows or places share nothing. On the CPU, where no one waits for it.
    """
    with mx.stream(mx.cpu):
        mixed = mx.random.split(mx.random.key(seed))[0]
        keys: Any = mx.vmap(lambda key: mx.random.split(key)[0])(
            mixed ^ mx.array(list(rows), dtype=mx.uint32)
        ).tolist()
    return [(first, second) for first, second in keys]


def uniforms_at(keys: Sequence[Key], places: Sequence[int]) -> Float[mx.array, " B"]:
    """Number `places[b]` of the row with `keys[b]`, in [0, 1)."""
    placed = [(first, second ^ t) for (first, second), t in zip(keys, places, strict=True)]
    return mx.vmap(lambda key: mx.random.uniform(key=key))(mx.array(placed, dtype=mx.uint32))


def draw_tokens(
    logits: Float[mx.array, "B vocabulary"],
    temperatures: Sequence[float],
    uniforms: Float[mx.array, " B"] | None,
) -> Integer[mx.array, " B"]:
    """One token per row, the most probable one at temperature 0, else by inverting the
    cumulative distribution at a number drawn for that row alone.

    uniforms: None where all rows are greedy.
    Returns NOT_FINITE where there is no most probable token: where a score is NaN or +∞, or
        all are −∞.
    """
    drawn = _draw(logits, temperatures, uniforms)
    return mx.where(mx.isfinite(mx.logsumexp(logits, axis=-1)), drawn, NOT_FINITE)


def _draw(
    logits: Float[mx.array, "B vocabulary"],
    temperatures: Sequence[float],
    uniforms: Float[mx.array, " B"] | None,
) -> Integer[mx.array, " B"]:
    greedy = mx.argmax(logits, axis=-1)
    if uniforms is None:
        return greedy
    divisors = mx.array([t or 1.0 for t in temperatures])[:, None]
    cumulative = mx.cumsum(mx.softmax(logits / divisors, axis=-1), axis=-1)
    drawn = mx.argmax(cumulative > uniforms[:, None] * cumulative[:, -1:], axis=-1)
    if all(temperatures):
        return drawn
    return mx.where(mx.array(list(temperatures)) == 0, greedy, drawn)
