"""log π(token) of given completions, and hidden states of prompts. Differentiable; draws
nothing.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial

import mlx.core as mx
from jaxtyping import Float, Integer

from mlx_t2.models import SVFModel, check_tokens

from .base_readings import BaseReadings
from .batchable import is_single, together
from .inner_states import last_states
from .rows import CHUNK, prefill, read_alone

Completions = Sequence[Sequence[Sequence[int]]]
"""The tokens of each completion of each prompt; prompts may have unlike numbers of them."""
SCORED = 2048
"""Tokens that are scored at a time where there are many: each has a score for every token of
the vocabulary, which together take a GB or more.
"""


def in_parts(completions: Sequence[Sequence[int]], most: int) -> list[list[Sequence[int]]]:
    """The completions in turn, in parts of `most` tokens; what is longer is a part of its own.

    >>> in_parts([(1, 2), (3,), (4, 5, 6, 7), ()], most=3)
    [[(1, 2), (3,)], [(4, 5, 6, 7)], [()]]
    """
    parts: list[list[Sequence[int]]] = []
    total = 0
    for one in completions:
        if not parts or total + len(one) > most:
            parts.append([])
            total = 0
        parts[-1].append(one)
        total += len(one)
    return parts


def completion_logprobs(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    completions: Completions,
    temperature: float = 1.0,
    readings: BaseReadings | None = None,
) -> Float[mx.array, " N"]:
    """log π of every completion token in turn (prompt by prompt, completion by completion), in
    float32.

    Each prompt is read once for all its completions. Padding and prompt tokens are not among
    the N.

    temperature: at which the completions were drawn: π is what they were drawn from.
    readings: where prompts are looked for, and kept, that the base reads.
    """
    scores = partial(_chosen_at, temperature)
    return _each(model, prompts, completions, scores, readings)


def completion_distributions(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    completions: Completions,
    temperature: float = 1.0,
    readings: BaseReadings | None = None,
) -> Float[mx.array, "N vocabulary"]:
    """log π of every token of the vocabulary, where `completion_logprobs` has that of the one
    in the completion; in float32. What an exact divergence of two policies needs.
    """
    return _each(model, prompts, completions, partial(_all_at, temperature), readings)


def _chosen_at(
    temperature: float, logits: Float[mx.array, "N vocabulary"], tokens: Integer[mx.array, " N"]
) -> Float[mx.array, " N"]:
    logits = logits / temperature
    chosen = mx.take_along_axis(logits, tokens[:, None], axis=-1).squeeze(-1)
    return chosen - mx.logsumexp(logits, axis=-1)


def _all_at(
    temperature: float, logits: Float[mx.array, "N vocabulary"], tokens: Integer[mx.array, " N"]
) -> Float[mx.array, "N vocabulary"]:
    logits = logits / temperature
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _each(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    completions: Completions,
    what: Callable[[mx.array, mx.array], mx.array],
    readings: BaseReadings | None,
) -> Float[mx.array, "N ..."]:
    """`what` of the scores and the token at every completion position, in turn."""
    for prompt, group in zip(prompts, completions, strict=True):
        check_tokens(model, [prompt], group)
    together_of = partial(_logits_together, readings or BaseReadings(model))
    logits_of = _logits_apart if is_single(model) else together_of
    found: dict[int, mx.array] = {}
    for batch in together(model, prompts):
        groups = [completions[i] for i in batch]
        if not any(groups):
            continue
        tokens = [token for group in groups for completion in group for token in completion]
        values = what(logits_of(model, [prompts[i] for i in batch], groups), mx.array(tokens))
        if len(batch) == len(prompts):
            return values
        sizes = [sum(map(len, group)) for group in groups]
        ends = [sum(sizes[:k]) for k in range(1, len(sizes))]
        found |= dict(zip(batch, mx.split(values, ends), strict=True))
    return mx.concatenate([found[i] for i in sorted(found)])


def _logits_together(
    readings: BaseReadings,
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    completions: Completions,
) -> Float[mx.array, "N vocabulary"]:
    """Scores where each completion token is the next, all rows in one batch.

    What is read is shifted by one: the prompt's last token, which no cache holds yet, then all
    of the completion but its last. Column t then scores token t of the completion:

        read       p  a  b  0            p: last of the prompt; 0: padding
        scores of  a  b  c  -            `at` leaves out what stands over padding
    """
    if model.acts_on == "answer":
        rows = readings.read(prompts)
        rows.caches = model.own(rows.caches)
    else:
        rows = prefill(model, prompts)
    rows.repeat([len(group) for group in completions])
    flat = [list(completion) for group in completions for completion in group]
    longest = max(len(completion) for completion in flat)
    inputs = [
        [last, *completion[:-1], *[0] * (longest - len(completion))]
        for last, completion in zip(rows.last, flat, strict=True)
    ]
    at = [
        row * longest + t for row, completion in enumerate(flat) for t in range(len(completion))
    ]
    return model.logits_at(mx.array(inputs), rows.caches, mx.array(at))


def _logits_apart(
    model: SVFModel, prompts: Sequence[Sequence[int]], completions: Completions
) -> Float[mx.array, "N vocabulary"]:
    """The same, each row in a pass of its own."""
    if model.acts_on == "answer":
        return _logits_of_answers(model, prompts, completions)
    rows = [
        (list(prompt), list(completion))
        for prompt, group in zip(prompts, completions, strict=True)
        for completion in group
    ]
    return mx.concatenate(
        [
            model.logits_at(
                mx.array([prompt + completion[:-1]]),
                None,
                mx.arange(len(prompt) - 1, len(prompt) + len(completion) - 1),
            )
            for prompt, completion in rows
        ]
    )


def _logits_of_answers(
    model: SVFModel, prompts: Sequence[Sequence[int]], completions: Completions
) -> Float[mx.array, "N vocabulary"]:
    """The same where the base reads the prompt: once, then each completion behind a copy."""
    scores = []
    for prompt, group in zip(prompts, completions, strict=True):
        read = read_alone(model, prompt)
        for completion in group:
            tokens = mx.array([[prompt[-1], *completion[:-1]]])
            at = mx.arange(len(completion))
            scores.append(model.logits_at(tokens, model.own(deepcopy(list(read))), at))
    return mx.concatenate(scores)


def score(
    model: SVFModel, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]
) -> Float[mx.array, "B K"]:
    """log-likelihood of each of K continuations after each of B prompts, read once."""
    logprobs = completion_logprobs(model, prompts, [continuations] * len(prompts))
    lengths = [len(c) for c in continuations]
    total = sum(lengths)
    starts = [sum(lengths[:k]) for k in range(len(lengths))]
    by_prompt = logprobs.reshape(len(prompts), total)
    parts = [
        by_prompt[:, start : start + n].sum(axis=1)
        for start, n in zip(starts, lengths, strict=True)
    ]
    return mx.stack(parts, axis=1)


def last_hidden(
    model: SVFModel, prompts: Sequence[Sequence[int]], blocks: Sequence[int] = ()
) -> Float[mx.array, "B hidden"]:
    """The state of each prompt's last token, in float32: after these blocks, side by side, or
    after the final norm.
    """
    check_tokens(model, prompts)
    found: dict[int, mx.array] = {}
    for batch in together(model, prompts):
        states = _read_last(model, [prompts[i] for i in batch], blocks).astype(mx.float32)
        found |= dict(zip(batch, states, strict=True))
    return mx.stack([found[i] for i in range(len(prompts))])


def _read_last(
    model: SVFModel, prompts: Sequence[Sequence[int]], blocks: Sequence[int]
) -> Float[mx.array, "B hidden"]:
    if len(prompts) == 1 and not model.has_rows:
        *before, last = prompts[0]
        if len(before) < CHUNK and model.acts_on == "all":
            return last_states(model, mx.array([[*before, last]]), None, blocks)
        caches = read_alone(model, prompts[0])
        return last_states(model, mx.array([[last]]), caches, blocks)
    rows = prefill(model, prompts)
    return last_states(model, mx.array(rows.last)[:, None], rows.caches, blocks)
