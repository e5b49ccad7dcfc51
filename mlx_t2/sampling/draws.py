"""Numbers → tokens. Owns the randomness of sampling; knows no model."""

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
from jaxtyping import Float, Integer

from mlx_t2.errors import ConfigError


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

    def __post_init__(self):
        if self.temperature < 0:
            raise ConfigError(f"temperature: got {self.temperature}, expected 0 or more")
        if not 0 <= self.seed < 2**64:
            raise ConfigError(f"seed: got {self.seed}, expected 0 or more, less than 2^64")
        if self.max_tokens < 1:
            raise ConfigError(f"max_tokens: got {self.max_tokens}, expected 1 or more")
        if self.max_rows is not None and self.max_rows < 1:
            raise ConfigError(f"max_rows: got {self.max_rows}, expected 1 or more")


def row_uniforms(
    config: SamplingConfig, rows: Sequence[tuple[int, int]]
) -> Float[mx.array, "T B"]:
    """The numbers that each row draws with, for (number of its prompt, copy).

    Entry (t, b) depends on the seed, row b and t alone. The generator mixes the seed before the
    row is put in, and the row before t is: neighbouring seeds, rows or lengths share nothing.
    """
    mixed = mx.random.split(mx.random.key(config.seed))[0]
    by_row = mx.vmap(lambda key: mx.random.split(key)[0])(
        mixed ^ mx.array(list(rows), dtype=mx.uint32)
    )
    steps = mx.arange(config.max_tokens, dtype=mx.uint32)[:, None]
    keys = by_row ^ mx.stack([mx.zeros_like(steps), steps], axis=-1)  # (T, B, 2)
    drawn = mx.vmap(lambda key: mx.random.uniform(key=key))(keys.reshape(-1, 2))
    return drawn.reshape(config.max_tokens, len(rows))


def draw(
    logits: Float[mx.array, "B vocabulary"], temperature: float, uniforms: Float[mx.array, " B"]
) -> Integer[mx.array, " B"]:
    """One token a row, by inverting the cumulative distribution at a number drawn for that row
    alone.
    """
    if temperature == 0:
        return mx.argmax(logits, axis=-1)
    cumulative = mx.cumsum(mx.softmax(logits / temperature, axis=-1), axis=-1)
    return mx.argmax(cumulative > uniforms[:, None] * cumulative[:, -1:], axis=-1)
