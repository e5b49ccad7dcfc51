"""A linear head that reads one hidden state of a prompt and names its domain.

Knows labels and hidden states; knows no experts and no scales.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
from jaxtyping import Float, Int

from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.models import SVFModel, explain_scores
from mlx_t2.reading import BasePrompt, last_hidden
from mlx_t2.tasks import OTHER, Problem

from .head_file import read_head, write_head
from .logistic import LinearHead, fit_head
from .router import Conversation

_BATCH = 32
"""Conversations read at once."""
_TARGETS = "mlp"
"""The weights whose fingerprint stands for the whole model."""


@dataclass(frozen=True, eq=False)
class HeadRouter:
    """p(label | conversation), from the last prompt token's state under the base weights.

    The whole conversation is read as it is encoded for the answer, so the first pass is one
    prefill.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2 B.
    Differs (9): a linear head on a hidden state instead of an SVF expert that writes the
    category: no decoded token, no second question, and probabilities that can be mixed with. It
    is trained by maximum likelihood on the training questions of the tasks and on general ones
    (`other`), not by REINFORCE on test questions.
    """

    model: SVFModel
    labels: tuple[str, ...]
    """What it tells apart; `other` is the last."""
    head: LinearHead
    base_model: str
    """What the model was called at training; `base_fingerprint` decides."""
    base_fingerprint: str
    seed: int = 0
    """Which examples were held out."""
    metrics: dict[str, float] = field(default_factory=dict)
    """`examples`, `held_out`, and the accuracy on either."""

    def __post_init__(self):
        fingerprint = self.model.fingerprint(_TARGETS)
        if fingerprint != self.base_fingerprint:
            raise ExpertFileError(
                f"router: it was trained on {self.base_model!r} (fingerprint "
                f"{self.base_fingerprint[:12]}…), the model is {self.model.name!r} "
                f"({fingerprint[:12]}…). Train one for this model"
            )

    @classmethod
    def train(cls, model: SVFModel, examples: Sequence[Problem], seed: int = 0) -> "HeadRouter":
        """A router for the domains of `examples`; a fifth of them is held out for `metrics`.

        Raises: ConfigError where `other` is not among the domains, or is alone.
        """
        domains = {problem.domain for problem in examples}
        if OTHER not in domains or len(domains) < 2:
            got = ", ".join(sorted(domains)) or "nothing"
            raise ConfigError(
                f"router: got examples of {got}, expected one or more domains and {OTHER!r}, "
                "which means the base model"
            )
        labels = (*sorted(domains - {OTHER}), OTHER)
        states = hidden_states(model, [problem.messages for problem in examples])
        classes = mx.array([labels.index(problem.domain) for problem in examples])
        head, metrics = _fit_and_measure(states, classes, len(labels), seed)
        return cls(model, labels, head, model.name, model.fingerprint(_TARGETS), seed, metrics)

    def posterior(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> Float[mx.array, "B K"]:
        """The probability of each label, lazily; of prompts that are read already, from their
        last states.
        """
        if read:
            return self.head.posterior(mx.stack([prompt.state for prompt in read]))
        prompts = [self.model.encode(conversation) for conversation in conversations]
        with self.model.using({}):
            return self.head.posterior(last_hidden(self.model, prompts))

    def save(self, path: Path | str) -> None:
        """Write the file whole or not at all. Raises FileError where that fails."""
        fields = {
            "labels": self.labels,
            "base_model": self.base_model,
            "base_fingerprint": self.base_fingerprint,
            "seed": self.seed,
            "metrics": self.metrics,
        }
        write_head(Path(path), vars(self.head), fields)

    @classmethod
    def load(cls, path: Path | str, model: SVFModel) -> "HeadRouter":
        """What `save` wrote, for the model that it was trained on.

        Raises: one ExpertFileError that lists all that is wrong with the file, or says that it
            was trained on another model.
        """
        tensors, fields = read_head(Path(path))
        labels: Any = fields.pop("labels")
        return cls(model, tuple(labels), LinearHead(**tensors), **fields)


def hidden_states(
    model: SVFModel, conversations: Sequence[Conversation]
) -> Float[mx.array, "N D"]:
    """The last prompt token's state for each conversation, under the base weights.

    Raises: ScoresError for states that are NaN or infinite.
    """
    prompts = [model.encode(conversation) for conversation in conversations]
    order = sorted(range(len(prompts)), key=prompts.__getitem__)  # a batch reads a prefix once
    states = []
    with model.using({}):
        for start in range(0, len(order), _BATCH):
            batch = [prompts[row] for row in order[start : start + _BATCH]]
            states.append(last_hidden(model, batch))
            if not mx.isfinite(states[-1]).all():  # computed now: frees the caches of these
                raise explain_scores(model, {})
    return mx.concatenate(states)[mx.argsort(mx.array(order))]


def _fit_and_measure(
    states: Float[mx.array, "N D"], classes: Int[mx.array, " N"], n_labels: int, seed: int
) -> tuple[LinearHead, dict[str, float]]:
    """Fit on four fifths, measure on either part."""
    order = mx.random.permutation(len(classes), key=mx.random.key(seed))
    held_out, fitted = order[: len(classes) // 5], order[len(classes) // 5 :]
    head = fit_head(states[fitted], classes[fitted], n_labels)
    metrics = {
        "examples": fitted.size,
        "accuracy": _accuracy(head, states[fitted], classes[fitted]),
    }
    if held_out.size:
        accuracy = _accuracy(head, states[held_out], classes[held_out])
        metrics |= {"held_out": held_out.size, "held_out_accuracy": accuracy}
    return head, metrics


def _accuracy(
    head: LinearHead, states: Float[mx.array, "N D"], classes: Int[mx.array, " N"]
) -> float:
    return float(mx.mean(mx.argmax(head.posterior(states), axis=-1) == classes))
