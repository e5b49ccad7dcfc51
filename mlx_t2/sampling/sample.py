"""Draw completions: many prompts at once, or one as a stream of text. Knows no rewards."""

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx_lm
from jaxtyping import Float
from mlx_lm.sample_utils import make_sampler

from mlx_t2.models import SVFModel
from mlx_t2.reading import Rows, alike, batching, is_single, prefill, together, wearing

from .draws import SamplingConfig, draw, row_uniforms
from .in_turn import decode_in_turn


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
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    copies: int = 1,
    numbers: Sequence[int] | None = None,
) -> list[list[Completion]]:
    """`copies` completions of every prompt, under the scales that the model wears.

    Each prompt is read once for all its copies, and finished rows leave the batch. Of more than
    `max_rows`, waiting rows join as others leave. Where the scales have rows, prompt b wears
    row b.

    numbers: of the prompts, 0, 1, … unless given. What is drawn depends on the seed, the
        prompt's number and the copy alone: a machine that samples some prompts of many gives
        each the number that it has among all.
    """
    total = len(prompts) * copies
    numbers = range(len(prompts)) if numbers is None else numbers
    uniforms = row_uniforms(config, [(i, k) for i in numbers for k in range(copies)])
    draw_group = _alone if is_single(model) else _together
    drawn: dict[int, list[int]] = {}
    for group in _groups(model, prompts):
        index = [i * copies + k for i in group for k in range(copies)]
        own = uniforms[:, mx.array(index)]
        tokens = draw_group(model, [prompts[i] for i in group], config, own)
        drawn |= dict(zip(index, tokens, strict=True))
    completions = [_completion(model, drawn[i]) for i in range(total)]
    return [completions[i : i + copies] for i in range(0, total, copies)]


def _groups(model: SVFModel, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Indices of the prompts that may be read together, and that it pays to."""
    batches = together(model, prompts)
    if model.has_rows:  # prompt b wears row b
        return batches
    return [
        [batch[i] for i in group]
        for batch in batches
        for group in alike([prompts[i] for i in batch])
    ]


def _together(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    uniforms: Float[mx.array, "T B"],
) -> list[list[int]]:
    """The tokens of each copy of each prompt in turn, all decoded in one batch."""
    total = uniforms.shape[1]
    copies, limit = total // len(prompts), config.max_rows or total
    if total > limit:
        if model.has_rows or batching(model).mode == "padded":
            return decode_in_turn(model, prompts, config, uniforms, limit)
        return _in_parts(model, prompts, config, uniforms, limit)
    rows = prefill(model, prompts)
    rows.repeat([copies] * len(prompts))
    with wearing(model, rows):
        return _decode(model, rows, config, uniforms)


def _in_parts(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    uniforms: Float[mx.array, "T B"],
    limit: int,
) -> list[list[int]]:
    """The same, so many rows after so many others: a row that joined would be shorter than
    those it joins.
    """
    total = uniforms.shape[1]
    copies = total // len(prompts)
    drawn: list[list[int]] = []
    for start in range(0, total, limit):
        part = range(start, min(start + limit, total))
        counts = Counter(row // copies for row in part)
        rows = prefill(model, [prompts[i] for i in counts])
        rows.repeat(list(counts.values()))
        drawn += _decode(model, rows, config, uniforms[:, part.start : part.stop])
    return drawn


def _alone(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    uniforms: Float[mx.array, "T B"],
) -> list[list[int]]:
    """The same of one prompt, which is read once, one copy after the other through mlx-lm's own
    caches.
    """
    (prompt,) = prompts
    read = model.new_cache()
    if len(prompt) > 1:
        model.extend(mx.array([list(prompt[:-1])]), read)
        mx.eval([cache.state for cache in read])  # once, not in the graph of every copy
    drawn: list[list[int]] = []
    for copy in range(uniforms.shape[1]):
        rows = Rows(model.owned(deepcopy(list(read))), [prompt[-1]])
        drawn += _decode(model, rows, config, uniforms[:, copy : copy + 1])
    return drawn


def _decode(
    model: SVFModel, rows: Rows, config: SamplingConfig, uniforms: Float[mx.array, "T B"]
) -> list[list[int]]:
    """The tokens of each row, its end token among them.

    Where all rows fit, mlx-lm's batch generator, which `decode_in_turn` drives, takes 1.3 to
    1.4 times as long (72 rows of SmolLM2-135M on 2 CPU cores): it is a token ahead, so that
    each row costs one step more than its tokens, and answers here are short.
    """
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
