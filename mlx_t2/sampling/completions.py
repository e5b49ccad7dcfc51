"""Draw completions: many prompts at once, or one as a stream of text. Knows no rewards."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import mlx.core as mx

from mlx_t2.models import OwnedCache, SVFModel, check_tokens, fit_answer, limited_memory
from mlx_t2.reading import batching, plan_prefill, prefill, read_alone, together

from .continuous import Engine
from .draw import SamplingConfig, row_keys
from .rows import Decoder, Row, has_queue


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
    on_end: Callable[[int, str], None] = lambda prompt, text: None,
) -> list[list[Completion]]:
    """`group` completions of every prompt, under the scales that the model wears.

    Each prompt is read once for all its completions, and finished rows leave the batch. Of more
    than `max_rows`, waiting rows join as others leave. Where the scales have rows, prompt b
    wears row b.

    numbers: of the prompts, 0, 1, … unless given. What is drawn depends on the seed, the
        prompt's number and which completion of it this is alone: a machine that samples some
        prompts of many gives each the number that it has among all.
    on_end: told the place of the prompt and the text of each completion as it ends, while
        others are drawn: what can be begun early is.
    Raises: ModelError for a prompt that the model cannot read; ScoresError where its scores
        are NaN or infinite.
    """
    groups = _make_rows(model, prompts, config, group, numbers)
    for row in _draw(model, prompts, groups, config):
        on_end(row.number // group, model.decode(row.tokens))
    return [[_completion(model, row) for row in rows] for rows in groups]


def finished_completions(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    group: int = 1,
    numbers: Sequence[int] | None = None,
) -> Iterator[tuple[int, list[Completion]]]:
    """What `sample` draws: (prompt, its completions) as soon as all of them have ended.

    The scales worn at the first one have to be worn until the last.
    """
    groups = _make_rows(model, prompts, config, group, numbers)
    going = [group] * len(groups)
    for row in _draw(model, prompts, groups, config):
        i = row.number // group
        going[i] -= 1
        if not going[i]:
            yield i, [_completion(model, one) for one in groups[i]]


def _make_rows(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    group: int,
    numbers: Sequence[int] | None,
) -> list[list[Row]]:
    """`group` rows per prompt, numbered one after another."""
    check_tokens(model, prompts)
    numbers = range(len(prompts)) if numbers is None else numbers
    keys = row_keys(config.seed, [(i, k) for i in numbers for k in range(group)])
    fitted = [_fit(model, prompt, config) for prompt in prompts]
    rows = [
        Row(i, key, fitted[i // group], model.worn, i // group, model.acts_on)
        for i, key in enumerate(keys)
    ]
    return [rows[i : i + group] for i in range(0, len(rows), group)]


def _draw(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    groups: Sequence[Sequence[Row]],
    config: SamplingConfig,
) -> Iterator[Row]:
    """Draw all rows; yield each as it ends."""
    count = sum(map(len, groups))
    batches = together(model, prompts)
    mode = "single" if count == 1 and not model.has_rows else batching(model).mode
    if mode == "padded":
        yield from _draw_together(model, prompts, groups, config.max_rows or count)
        return
    for batch in batches:
        apart = _draw_alone if mode == "single" else _draw_equal
        own = [groups[i] for i in batch]
        yield from apart(model, [prompts[i] for i in batch], own, config)


def _fit(model: SVFModel, prompt: Sequence[int], config: SamplingConfig) -> SamplingConfig:
    """The settings, for an answer that ends where the model's positions do."""
    return replace(config, max_tokens=fit_answer(model, prompt, config.max_tokens))


def _draw_together(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    groups: Sequence[Sequence[Row]],
    max_rows: int,
) -> Iterator[Row]:
    """Rows of any length in one batch, those that are read together after one another."""
    engine = Engine(model, max_rows, has_queue())
    prompts, groups = _join_alike(model, prompts, groups)
    for batch in plan_prefill(prompts, [model.prompt_scales] * len(prompts)):
        for i in batch:
            engine.put(prompts[i], groups[i])
    yield from _exhaust(engine.step)


def _join_alike(
    model: SVFModel, prompts: Sequence[Sequence[int]], groups: Sequence[Sequence[Row]]
) -> tuple[Sequence[Sequence[int]], Sequence[Sequence[Row]]]:
    """A prompt that is asked several times is read once, with the rows of all, where nothing
    but the base reads it.
    """
    if model.acts_on != "answer":
        return prompts, groups
    joined: dict[tuple[int, ...], list[Row]] = {}
    for prompt, group in zip(prompts, groups, strict=True):
        joined.setdefault(tuple(prompt), []).extend(group)
    return list(joined), list(joined.values())


def _draw_equal(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    groups: Sequence[Sequence[Row]],
    config: SamplingConfig,
) -> Iterator[Row]:
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
        yield from _drain(model, [row for _, row in part], filled.caches, filled.last)


def _draw_alone(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    groups: Sequence[Sequence[Row]],
    _: SamplingConfig,
) -> Iterator[Row]:
    """One row after the other through mlx-lm's own caches, each prompt read once."""
    for prompt, group in zip(prompts, groups, strict=True):
        read = read_alone(model, prompt)
        mx.eval([cache.state for cache in read])  # once, not in the graph of every copy
        for row in group:
            yield from _drain(model, [row], deepcopy(list(read)), prompt[-1:])


def _drain(
    model: SVFModel,
    rows: Sequence[Row],
    caches: list,
    last: Sequence[int],
) -> Iterator[Row]:
    decoder = Decoder(model, has_queue())
    decoder.join(rows, caches, last)
    yield from _exhaust(decoder.step)


def _exhaust(step: Callable[[], Sequence[Row]]) -> Iterator[Row]:
    """Draw until no row is left; yield each as it ends."""
    while rows := step():
        yield from (row for row in rows if row.finish_reason is not None)


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
