"""The category of a conversation as an expert says it that was trained to classify.

Knows one set of scales and the labels that they were trained to tell apart; does not know how.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.reading import BasePrompt, completion_logprobs, score_behind
from mlx_t2.sampling import encode_options
from mlx_t2.svf import ActsOn, Scales
from mlx_t2.tasks import OTHER, Problem

from .calibration import LEAST_THRESHOLD, choose_threshold
from .router import Conversation, Router

_AT_ONCE = 32
"""Conversations that are read in one batch."""


class ClsRouter:
    """The policy that the task `cls` trains, over its labels:

        p(c | conversation) = softmax_c [ mean over the tokens of c of log π_z(token) ],

    π_z the model under the scales z of the `cls` expert. Where these act on the answer alone
    they go on from the conversation as the base has read it, and only its last token and the
    labels are read under them: the pass is the prefill of the answer, too.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2 B.
    Differs (21): its labels are scored behind the conversation as the base has read it; the
    paper's writes the category behind a prompt of its own, to be parsed.
    """

    def __init__(
        self,
        model: SVFModel,
        labels: Sequence[str],
        scales: Scales,
        acts_on: ActsOn = "answer",
        threshold: float = LEAST_THRESHOLD,
    ):
        """threshold: how probable it has to be that an expert is meant. REINFORCE does not
            calibrate: see `find_threshold`.
        Raises: ConfigError for labels without `other`, or without any beside it.
        """
        if OTHER not in labels or len(labels) < 2:
            raise ConfigError(
                f"cls: got labels {', '.join(labels) or 'none'}, expected some, and {OTHER!r}"
            )
        self.model, self.labels, self.threshold = model, tuple(labels), threshold
        self._scales = scales
        self._acts_on: ActsOn = acts_on

    def posterior(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> Float[mx.array, "B K"]:
        """The probability of each label, lazily."""
        with self.model.using(self._scales, acts_on=self._acts_on):
            if read and self._acts_on == "answer":
                return mx.stack([mx.softmax(self._score(prompt)) for prompt in read])
            prompts = [self.model.encode(conversation) for conversation in conversations]
            tokens = [self._encode(prompt) for prompt in prompts]
            found = completion_logprobs(self.model, prompts, tokens)
        means, at = [], 0
        for ids in (ids for group in tokens for ids in group):
            means.append(mx.mean(found[at : at + len(ids)]))
            at += len(ids)
        scores = mx.stack(means).reshape(len(prompts), len(self.labels))
        return mx.softmax(scores, axis=-1)

    def _score(self, prompt: BasePrompt) -> Float[mx.array, " K"]:
        return score_behind(self.model, prompt, self._encode(prompt.tokens))

    def _encode(self, prompt: Sequence[int]) -> list[tuple[int, ...]]:
        return encode_options(self.model, prompt, self.labels)


def find_threshold(router: Router, problems: Sequence[Problem]) -> float:
    """The threshold of the best recall that lets hardly any ordinary request through, see
    `choose_threshold`.

    problems: none that the router was trained on; the answer of each is its label.
    """
    other = router.labels.index(OTHER)
    ordinary, meant = [], []
    for start in range(0, len(problems), _AT_ONCE):
        batch = problems[start : start + _AT_ONCE]
        posterior: Any = router.posterior([problem.messages for problem in batch]).tolist()
        for problem, row in zip(batch, posterior, strict=True):
            surest = max(
                (p, label)
                for p, label in zip(row, router.labels, strict=True)
                if label != OTHER
            )
            if problem.answer == OTHER:
                ordinary.append(1 - row[other])
            elif problem.answer == surest[1]:
                meant.append(1 - row[other])
    return choose_threshold(ordinary, meant)
