"""A linear head that reads one hidden state of a prompt and names its domain.

Knows labels and hidden states; knows no experts and no scales.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.models import SVFModel, explain_scores
from mlx_t2.reading import last_hidden
from mlx_t2.tasks import OTHER, Problem

from .calibration import calibrate
from .head_file import read_head, write_head
from .logistic import LinearHead, fit_head
from .router import Conversation, decide, measure_routes

_BATCH = 32
"""Conversations read at once."""
_BEGINNING = 16
"""Prompts that begin with the same tokens are read together [tokens]."""
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
    is trained by maximum likelihood on the training questions of the tasks and on ordinary
    requests (`other`), not by REINFORCE on test questions; and it abstains: below a threshold
    the base model answers.
    """

    model: SVFModel
    labels: tuple[str, ...]
    """What it tells apart; `other` is the last."""
    head: LinearHead
    threshold: float
    """How probable it has to be that any expert is meant, for one to answer."""
    base_model: str
    """What the model was called at training; `base_fingerprint` decides."""
    base_fingerprint: str
    tasks: dict[str, str] = field(default_factory=dict)
    """{label: the task whose questions it was trained with}."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """What it was trained and checked with, see `measure_routes`."""

    def __post_init__(self):
        fingerprint = self.model.fingerprint(_TARGETS)
        if fingerprint != self.base_fingerprint:
            raise ExpertFileError(
                f"router: it was trained on {self.base_model!r} (fingerprint "
                f"{self.base_fingerprint[:12]}…), the model is {self.model.name!r} "
                f"({fingerprint[:12]}…). Train one for this model: t2 router"
            )

    @classmethod
    def train(
        cls,
        model: SVFModel,
        examples: Sequence[Problem],
        held_out: Sequence[Problem],
        tasks: Mapping[str, str] | None = None,
    ) -> "HeadRouter":
        """A router for the domains of `examples`, calibrated on those that are held out.

        Raises: ConfigError where `other` is not among the domains, or is alone; ScoresError for
            states that are NaN or infinite.
        """
        states = [
            hidden_states(model, [p.messages for p in some]) for some in (examples, held_out)
        ]
        return cls.fit(model, (examples, states[0]), (held_out, states[1]), tasks)

    @classmethod
    def fit(
        cls,
        model: SVFModel,
        examples: tuple[Sequence[Problem], Float[mx.array, "N D"]],
        held_out: tuple[Sequence[Problem], Float[mx.array, "M D"]],
        tasks: Mapping[str, str] | None = None,
    ) -> "HeadRouter":
        """As `train`, from states that have been read."""
        labels = _labels_of(examples[0], held_out[0])
        (x, classes), (y, truth) = (
            (states, mx.array([labels.index(problem.domain) for problem in problems]))
            for problems, states in (examples, held_out)
        )
        fitted = calibrate(fit_head(x, classes, len(labels)), y, truth)
        posterior: Any = fitted.head.posterior(y).tolist()
        chosen = [
            decide(dict(zip(labels, row, strict=True)), fitted.threshold) for row in posterior
        ]
        metrics = {"examples": len(examples[0]), "temperature": fitted.temperature}
        metrics |= measure_routes([problem.domain for problem in held_out[0]], chosen)
        return cls(
            model,
            labels,
            fitted.head,
            fitted.threshold,
            model.name,
            model.fingerprint(_TARGETS),
            dict(tasks or {}),
            metrics,
        )

    def posterior(self, conversations: Sequence[Conversation]) -> Float[mx.array, "B K"]:
        """The probability of each label, lazily."""
        prompts = [self.model.encode(conversation) for conversation in conversations]
        with self.model.using({}):
            return self.head.posterior(last_hidden(self.model, prompts))

    def save(self, path: Path | str) -> None:
        """Write the file whole or not at all. Raises FileError where that fails."""
        fields = {
            "labels": self.labels,
            "threshold": self.threshold,
            "base_model": self.base_model,
            "base_fingerprint": self.base_fingerprint,
            "tasks": self.tasks,
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
    return in_order(list(read_states(model, conversations)))


Batch = tuple[list[int], Float[mx.array, "_ D"]]
"""Which conversations were read, and their states."""


def read_states(model: SVFModel, conversations: Sequence[Conversation]) -> Iterator[Batch]:
    """The states of `hidden_states`, batch by batch."""
    prompts = [model.encode(conversation) for conversation in conversations]
    # a batch reads once what its prompts begin with, and pads them to the longest
    order = sorted(
        range(len(prompts)), key=lambda i: (prompts[i][:_BEGINNING], len(prompts[i]))
    )
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        with model.using({}):
            states = last_hidden(model, [prompts[row] for row in rows])
            if not mx.isfinite(states).all():  # computed now: frees the caches of these
                raise explain_scores(model, {})
        yield rows, states


def in_order(batches: Sequence[Batch]) -> Float[mx.array, "N D"]:
    """The states of all conversations, in their order."""
    rows = [row for batch, _ in batches for row in batch]
    return mx.concatenate([states for _, states in batches])[mx.argsort(mx.array(rows))]


def _labels_of(*parts: Sequence[Problem]) -> tuple[str, ...]:
    """The domains, `other` last; the same in every part."""
    domains = [{problem.domain for problem in part} for part in parts]
    if OTHER not in domains[0] or len(domains[0]) < 2 or domains[0] != domains[1]:
        got = ", held out ".join(", ".join(sorted(part)) or "nothing" for part in domains)
        raise ConfigError(
            f"router: got examples of {got}, expected one or more domains and {OTHER!r}, which "
            "means the base model, among both"
        )
    return (*sorted(domains[0] - {OTHER}), OTHER)
