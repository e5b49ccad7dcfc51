"""log π(token) of given completions, and hidden states of prompts. Differentiable; draws
nothing.
"""

from collections.abc import Sequence

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.models import SVFModel

from .prefill import prefill, wearing


def completion_logprobs(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[Sequence[int]]],
) -> Float[mx.array, " N"]:
    """log π of every completion token in turn (prompt by prompt, completion by completion), in
    float32.

    Each prompt is read once for all its completions, of which each has the same number. Padding
    and prompt tokens are not among the N.
    """
    rows = prefill(model, prompts)
    rows.repeat(len(completions[0]))
    flat = [list(completion) for group in completions for completion in group]
    longest = max(len(completion) for completion in flat)
    inputs = [
        [last, *completion[:-1], *[0] * (longest - len(completion))]
        for last, completion in zip(rows.last, flat, strict=True)
    ]
    at = [
        row * longest + t for row, completion in enumerate(flat) for t in range(len(completion))
    ]
    with wearing(model, rows):
        logits = model.logits_at(mx.array(inputs), rows.caches, mx.array(at))
    tokens = mx.array([token for completion in flat for token in completion])
    chosen = mx.take_along_axis(logits, tokens[:, None], axis=-1).squeeze(-1)
    return chosen - mx.logsumexp(logits, axis=-1)


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
    model: SVFModel, prompts: Sequence[Sequence[int]]
) -> Float[mx.array, "B hidden"]:
    """The state of each prompt's last token after the final norm, in float32."""
    rows = prefill(model, prompts)
    states = model.hidden(mx.array(rows.last)[:, None], rows.caches)
    return states[:, -1].astype(mx.float32)
