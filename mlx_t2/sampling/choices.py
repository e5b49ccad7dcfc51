"""Answers that are chosen, not written: the policy over the options of a problem.

    s_i = mean over the tokens of option i of log p(token | prompt, option so far)
    π_i = softmax_i(s / temperature)

The mean, not the sum: an option is not less probable for being longer. The end token is not
among the tokens, so that what is compared is the text. Options of the same text are one option.

Differs (19): the policy over the options is explicit, and training takes the exact gradient of
its expected reward; the paper lists the options and samples a letter.

Knows tokens and probabilities; knows no rewards.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import mlx.core as mx

from mlx_t2.errors import TaskDataError
from mlx_t2.models import SVFModel, explain_scores
from mlx_t2.reading import BaseReadings, completion_logprobs, plan_options
from mlx_t2.svf import take_rows

Tokens = tuple[int, ...]

_MOST_ROWS = 64
"""Options that are scored at once: each token of them has a score for every token of the
vocabulary, which is what bounds the memory.
"""


@dataclass(frozen=True)
class Choice:
    """The options of one problem, and how the model rates them."""

    texts: tuple[str, ...]
    """All different, in the problem's order."""
    tokens: tuple[Tokens, ...]
    """The tokens of each option, without an end token."""
    scores: tuple[float, ...]
    """The mean log-probability of each option's tokens [nats per token]."""

    @property
    def best(self) -> int:
        """The number of the most probable option, the first of several."""
        return self.scores.index(max(self.scores))


def score_options(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    options: Sequence[Sequence[str]],
    where: Sequence[str] = (),
    max_rows: int | None = None,
    readings: BaseReadings | None = None,
) -> list[Choice]:
    """The options of every prompt with their scores, under the scales that the model wears.

    Each prompt is read once for all its options. Where the scales have rows, prompt b wears
    row b.

    where: what each prompt is called in an error.
    max_rows: options that are scored at once, where fewer than by default are wanted.
    readings: where prompts are looked for, and kept, that the base reads.
    Raises: TaskDataError for an option without tokens; ScoresError where scores are NaN or
        infinite.
    """
    texts = [tuple(dict.fromkeys(one)) for one in options]
    names = where or [f"prompt {i}" for i in range(1, len(prompts) + 1)]
    tokens = [_encode_all(model, *one) for one in zip(names, prompts, texts, strict=True)]
    scores: dict[int, tuple[float, ...]] = {}
    most = min(_MOST_ROWS, max_rows or _MOST_ROWS)
    for batch in plan_options(prompts, tokens, most):
        with wearing_rows(model, batch):
            chosen, known = [prompts[i] for i in batch], [tokens[i] for i in batch]
            found = _score(model, chosen, known, readings)
        scores |= dict(zip(batch, found, strict=True))
    return [Choice(texts[i], tokens[i], scores[i]) for i in range(len(prompts))]


@contextmanager
def wearing_rows(model: SVFModel, rows: Sequence[int]) -> Iterator[None]:
    """Inside the block row b of a batch wears the scales of row `rows[b]`, where they have
    rows.
    """
    if not model.has_rows:
        yield
        return
    taken = take_rows(model.worn, model.shapes, mx.array(list(rows)))
    with model.using(taken, acts_on=model.acts_on):
        yield


def _encode_all(
    model: SVFModel, where: str, prompt: Sequence[int], texts: Sequence[str]
) -> tuple[Tokens, ...]:
    tokens = encode_options(model, prompt, texts)
    for text, ids in zip(texts, tokens, strict=True):
        if not ids:
            raise TaskDataError(
                f"{where}: got option {text!r}, expected a text: its tokens are what is scored"
            )
    return tuple(tokens)


def encode_options(
    model: SVFModel, prompt: Sequence[int], texts: Sequence[str]
) -> list[Tokens]:
    """The tokens of each text where it stands behind the prompt, as if both had been encoded as
    one.

    A tokenizer writes a word otherwise behind a letter than behind a line break, and some put a
    space in front of whatever they are given. So the prompt's text behind its last special
    token, `assistant⏎` in most templates, is encoded with and without the option, and what is
    more is the option's. Behind a prompt that ends in the middle of a line, as one without a
    chat template does (`Answer:`), a space comes first.
    """
    tail = _tail(model, prompt)
    gap = "" if not tail or tail[-1].isspace() else " "
    head = _encode(model, tail)
    found = []
    for text in texts:
        whole = _encode(model, tail + gap + text) if text else head
        is_apart = whole[: len(head)] == head
        found.append(whole[len(head) :] if is_apart else _encode(model, gap + text))
    return found


def _tail(model: SVFModel, prompt: Sequence[int]) -> str:
    """The text of the prompt behind its last special token."""
    special = set(model.tokenizer.all_special_ids)
    start = next((i for i in range(len(prompt), 0, -1) if prompt[i - 1] in special), 0)
    return model.tokenizer.decode(list(prompt[start:])) if start < len(prompt) else ""


def _encode(model: SVFModel, text: str) -> Tokens:
    return tuple(model.tokenizer.encode(text, add_special_tokens=False)) if text else ()


def _score(
    model: SVFModel,
    prompts: Sequence[Sequence[int]],
    tokens: Sequence[Sequence[Tokens]],
    readings: BaseReadings | None,
) -> list[tuple[float, ...]]:
    found = completion_logprobs(model, prompts, tokens, readings=readings)
    logprobs: Any = found.tolist()
    lengths = [len(ids) for group in tokens for ids in group]
    ends = accumulate(lengths, initial=0)
    means = iter([math.fsum(logprobs[a:b]) / (b - a) for a, b in pairwise(ends)])
    if not all(map(math.isfinite, logprobs)):
        raise explain_scores(model, model.worn)
    return [tuple(next(means) for _ in group) for group in tokens]


def weigh(scores: Sequence[float], temperature: float = 1.0) -> list[float]:
    """π: softmax of the scores.

    >>> weigh([-1.0, -1.0])
    [0.5, 0.5]
    """
    return [math.exp(log) for log in log_weigh(scores, temperature)]


def log_weigh(scores: Sequence[float], temperature: float = 1.0) -> list[float]:
    """log π of every option."""
    top = max(scores)
    above = [(score - top) / temperature for score in scores]
    total = math.log(math.fsum(map(math.exp, above)))
    return [score - total for score in above]
