"""How probable each of some short texts is behind a prompt that the base has read already.

Differentiable; draws nothing. Knows no labels.
"""

from collections.abc import Sequence
from copy import deepcopy

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.models import SVFModel

from .base_prompt import BasePrompt


def score_behind(
    model: SVFModel, prompt: BasePrompt, continuations: Sequence[Sequence[int]]
) -> Float[mx.array, " K"]:
    """The mean log-probability of each continuation's tokens [nats per token] under what the
    model wears, which has to act on the answer alone: the prompt is as the base has read it.

    The prompt's last token is read once for all; a copy of the caches reads what is behind the
    first token of a continuation. The prompt's own caches stay as they are.
    """
    caches = model.own(deepcopy(list(prompt.caches)))
    last = model.logits_at(mx.array([prompt.tokens[-1:]]), caches, mx.arange(1))
    first = last[0] - mx.logsumexp(last[0])
    scores = []
    for tokens in continuations:
        found = first[mx.array([tokens[0]])]
        if len(tokens) > 1:
            copy = model.own(deepcopy(list(caches)))
            rest = mx.array([list(tokens[:-1])])
            logits = model.logits_at(rest, copy, mx.arange(len(tokens) - 1))
            chosen = mx.take_along_axis(logits, mx.array(list(tokens[1:]))[:, None], axis=-1)
            others = chosen[:, 0] - mx.logsumexp(logits, axis=-1)
            found = mx.concatenate([found, others])
        scores.append(mx.mean(found))
    return mx.stack(scores)
