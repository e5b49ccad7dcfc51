"""Draw completions: many prompts at once, or one as a stream of text. Knows no rewards."""

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import mlx.core as mx

from mlx_t2.models import OwnedCache, SVFModel, check_tokens, fit_answer, limited_memory
from mlx_t2.reading import batching, plan_prefill, prefill, read_alone, together

from .continuous import Engine
from .draw import SamplingConfig, row_keys
from .rows import Decoder, Row


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
    group: int = 1,
    numbers: Sequence[int] | None = None,
) -> list[list[Completion]]:
    """`group` completions of every prompt, under the scales that the model wears.

    Each prompt is read once for all its completions, and finished rows leave the batch. Of more
    than `max_rows`, waiting rows join as others leave. Where the scales have rows, prompt b
    wears row b.

    numbers: of the prompts, 0, 1, … unless given. What is drawn depends on the seed, the
        prompt's number and which completion of it this is alone: a machine that samples some
        prompts of many gives each the number that it has among all.
    Raises: ModelError for a prompt that the model cannot read; ScoresError where its scores
        are NaN or infinite.
    """
    check_tokens(model, prompts)
    numbers = range(len(prompts)) if numbers is None else numbers
    keys = row_keys(config.seed, [(i, k) for i in numbers for k in range(group)])
    fitted = [_fit(model, prompt, config) for prompt in prompts]
    rows = [
        Row(i, key, fitted[i // group], model.worn, i // group, model.acts_on)
        for i, key in enumerate(keys)
    ]
    groups = [rows[i : i + group] for i in range(0, len(rows), group)]
    batches = together(model, prompts)
    mode = "single" if len(rows) == 1 and not model.has_rows else batching(model).mode
    if mode == "padded":
        _draw_together(model, prompts, groups, config.max_rows or len(rows))
    else:
        for batch in batches:
            apart = _draw_alone if mode == "single" else _draw_equal
            apart(model, [prompts[i] for i in batch], [groups[i] for i in batch], config)
    return [[_completion(model, row) for row in group] for group in groups]


def _fit(model: SVFModel, prompt: Sequence[int], config: SamplingConfig) -> SamplingConfig:
    """The settings, for an answer that ends where the model's positions do."""
    return replace(config, max_tokens=fit_answer(model, prompt, config.max_tokens))


def _is_ahead() -> bool:
    """Whether the device has a queue of its own, see `Decoder`."""
    return mx.default_device() != mx.Device(mx.cpu)


def _draw_together(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    groups: Sequence[Sequence[Row]],
    max_rows: int,
) -> None:
    """Rows of any length in one batch, those that are read together after one another."""
    engine = Engine(model, max_rows, _is_ahead())
    for batch in plan_prefill(prompts, [model.prompt_scales] * len(prompts)):
        for i in batch:
            engine.put(prompts[i], groups[i])
    while engine.step():
        pass


def _draw_equal(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    groups: Sequence[Sequence[Row]],
    config: SamplingConfig,
) -> None:
    """Rows of equal length, `max_rows` after `max_rows`: one that joined would be shorter than
    those it joins.
    """
    rows = [(i, row) for i, group in enumerate(groups) for row in group]
    limit = config.max_rows or len(rows)
    for start in range(0, len(rows), limit):
        part = rows[start : start + limit]
        counts = Counter(i for i, _ in part)
        filled = prefill(model, [prompts[i] for i in counts])
        filled.repeat(list(counts.values()))
        _drain(model, [row for _, row in part], filled.caches, filled.last)


def _draw_alone(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    groups: Sequence[Sequence[Row]],
    _: SamplingConfig,
) -> None:
    """One row after the other through mlx-lm's own caches, each prompt read once."""
    for prompt, group in zip(prompts, groups, strict=True):
        read = read_alone(model, prompt)
        mx.eval([cache.state for cache in read])  # once, not in the graph of every copy
        for row in group:
            _drain(model, [row], deepcopy(list(read)), prompt[-1:])


def _drain(model: SVFModel, rows: Sequence[Row], caches: list, last: Sequence[int]) -> None:
    decoder = Decoder(model, _is_ahead())
    decoder.join(rows, caches, last)
    while decoder.step():
        pass


def _completion(model: SVFModel, row: Row) -> Completion:
    is_finished = row.finish_reason == "stop"
    return Completion(tuple(row.tokens), model.decode(row.tokens), is_finished)


def stream(
    model: SVFModel,
    prompt: Sequence[int],
    config: SamplingConfig,
    read: OwnedCache | None = None,
) -> Iterator[Token]:
    """One completion, token by token as it is drawn: what `sample` draws for this prompt alone,
    under the scales that the model wears at the first token. Raises as `sample` does.

    read: caches that hold all of the prompt but its last token already, see `BasePrompt`. They
        are used up.
    """
    check_tokens(model, [prompt])
    (key,) = row_keys(config.seed, [(0, 0)])
    row = Row(0, key, _fit(model, prompt, config), model.worn)
    text = model.tokenizer.detokenizer
    with limited_memory():
        decoder = Decoder(model, is_ahead=True)
        decoder.join([row], read_alone(model, prompt) if read is None else read, prompt[-1:])
        while row.finish_reason is None:
            decoder.step()
            if row.finish_reason != "stop":
                text.add_token(row.tokens[-1])
            if row.finish_reason:
                text.finalize()
            yield Token(row.tokens[-1], text.last_segment, row.finish_reason)
