"""Draw completions: many prompts at once, or one as a stream of text. Knows no rewards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx_lm
from jaxtyping import Float, Integer
from mlx_lm.sample_utils import make_sampler

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel

from .prefill import Rows, alike, prefill, wearing


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How completions are drawn."""

    temperature: float = 1.0
    """0 is greedy."""
    max_tokens: int = 512
    """Longest completion [tokens], prompt not counted."""
    seed: int = 0
    """Same seed, prompts and weights: same completions, whatever else is in the batch."""

    def __post_init__(self):
        if self.temperature < 0:
            raise ConfigError(f"temperature: {self.temperature} came, expected 0 or more")
        if self.max_tokens < 1:
            raise ConfigError(f"max_tokens: {self.max_tokens} came, expected 1 or more")


@dataclass(frozen=True)
class Completion:
    """What the model wrote after a prompt."""

    tokens: tuple[int, ...]
    """Exactly as sampled; the end token is among them where it was sampled."""
    text: str
    """Without special tokens."""
    is_finished: bool
    """It ended by an end token, not by the limit."""


@dataclass(frozen=True)
class Token:
    """A piece of a streamed answer."""

    id: int
    text: str
    finish_reason: str | None
    """`stop`, `length`, or None while it goes on."""


def sample(
    model: SVFModel, prompts: Sequence[Sequence[int]], config: SamplingConfig, copies: int = 1
) -> list[list[Completion]]:
    """`copies` completions of every prompt, under the scales that the model wears.

    Each prompt is read once for all its copies, and finished rows leave the batch. Where the
    scales have rows, prompt b wears row b.
    """
    total = len(prompts) * copies
    uniforms = mx.random.uniform(
        shape=(config.max_tokens, total), key=mx.random.key(config.seed)
    )
    drawn: dict[int, list[int]] = {}
    for group in [list(range(len(prompts)))] if model.has_rows else alike(prompts):
        index = [i * copies + k for i in group for k in range(copies)]
        rows = prefill(model, [prompts[i] for i in group])
        rows.repeat(copies)
        with wearing(model, rows):
            tokens = _decode(model, rows, config, uniforms[:, mx.array(index)])
        drawn |= dict(zip(index, tokens, strict=True))
    completions = [_completion(model, drawn[i]) for i in range(total)]
    return [completions[i : i + copies] for i in range(0, total, copies)]


def _decode(
    model: SVFModel, rows: Rows, config: SamplingConfig, uniforms: Float[mx.array, "T B"]
) -> list[list[int]]:
    """The tokens of each row, its end token among them."""
    total = len(rows.last)
    drawn: list[list[int]] = [[] for _ in range(total)]
    alive = list(range(total))
    finished: set[int] = set()
    for step in range(config.max_tokens):
        at = mx.arange(len(alive))
        logits = model.logits_at(mx.array(rows.last)[:, None], rows.caches, at)
        tokens: Any = draw(logits, config.temperature, uniforms[step][mx.array(alive)]).tolist()
        rows.last = tokens
        for row, token in zip(alive, rows.last, strict=True):
            if row not in finished:
                drawn[row].append(token)
                if token in model.eos_ids:
                    finished.add(row)
        if len(finished) == total:
            break
        kept = [i for i, row in enumerate(alive) if row not in finished]
        if len(kept) <= 0.8 * len(
            alive
        ):  # copying the caches costs about as much as it saves before that
            rows.take(kept)
            if model.has_rows:
                model.wear(rows.caches.scales)
            alive = [alive[i] for i in kept]
    return drawn


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


def _completion(model: SVFModel, tokens: list[int]) -> Completion:
    return Completion(tuple(tokens), model.decode(tokens), tokens[-1] in model.eos_ids)


def stream(model: SVFModel, prompt: Sequence[int], config: SamplingConfig) -> Iterator[Token]:
    """One completion, token by token as it is drawn, by mlx-lm's own decoding loop."""
    mx.random.seed(config.seed)
    sampler = make_sampler(temp=config.temperature)
    for piece in mlx_lm.stream_generate(
        model.network,
        model.tokenizer,
        list(prompt),
        max_tokens=config.max_tokens,
        sampler=sampler,
    ):
        yield Token(piece.token, piece.text, piece.finish_reason)
