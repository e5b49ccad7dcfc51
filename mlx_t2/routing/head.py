"""A linear head that reads hidden states of a prompt's last token and names its domain.

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
from mlx_t2.reading import BasePrompt, count_blocks, last_hidden
from mlx_t2.tasks import OTHER, Problem

from .calibration import calibrate
from .head_file import read_head, write_head
from .logistic import LinearHead, fit_head
from .router import Conversation, decide, measure_routes

_BATCH = 32
"""Conversations read at once."""
_BEGINNING = 16
"""Prompts that begin with the same tokens are read together [tokens]."""
_PENALTIES = (0.01, 0.03, 0.1)
"""Penalties on the weights, see `fit_head`; which, and which blocks: chosen on validation."""
_TARGETS = "mlp"
"""The weights whose fingerprint stands for the whole model."""


@dataclass(frozen=True, eq=False)
class HeadRouter:
    """p(label | conversation), from the last prompt token's states under the base weights.

    The whole conversation is read as it is encoded for the answer, so the first pass is one
    prefill, and no more of it than the blocks up to the last one that is looked at. Which those
    are is chosen on validation: the state after the final norm is busy with the next token.

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
    blocks: tuple[int, ...]
    """The states after these blocks, side by side, are what the head reads; after the final
    norm where there are none.
    """
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
        """As `train`, from states that have been read with `hidden_states`."""
        labels = _labels_of(examples[0], held_out[0])
        classes, truth = (
            mx.array([labels.index(problem.domain) for problem in problems])
            for problems, _ in (examples, held_out)
        )
        tried = [
            (calibrate(fit_head(x, classes, len(labels), l2=l2), y, truth), blocks)
            for blocks in _candidates(model)
            for x, y in [[_look_at(read, blocks, model) for _, read in (examples, held_out)]]
            for l2 in _PENALTIES
        ]
        fitted, blocks = max(tried, key=lambda one: one[0].worth)
        y = _look_at(held_out[1], blocks, model)
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
            blocks,
            fitted.threshold,
            model.name,
            model.fingerprint(_TARGETS),
            dict(tasks or {}),
            metrics,
        )

    def posterior(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> Float[mx.array, "B K"]:
        """The probability of each label, lazily; from what `read` reads, where it is given."""
        if read:
            states = [prompt.states(self.blocks) for prompt in read]
            return self.head.posterior(mx.stack(states))
        prompts = [self.model.encode(conversation) for conversation in conversations]
        with self.model.using({}):
            return self.head.posterior(last_hidden(self.model, prompts, self.blocks))

    def save(self, path: Path | str) -> None:
        """Write the file whole or not at all. Raises FileError where that fails."""
        fields = {
            "labels": self.labels,
            "blocks": self.blocks,
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
        labels, blocks = (tuple(fields.pop(name)) for name in ("labels", "blocks"))
        if blocks and max(blocks) >= count_blocks(model):
            raise ExpertFileError(
                f"{path}: it reads block {max(blocks)}, the model has {count_blocks(model)}. "
                "Train one for this model: t2 router"
            )
        return cls(model, labels, LinearHead(**tensors), blocks, **fields)


def hidden_states(
    model: SVFModel, conversations: Sequence[Conversation]
) -> Float[mx.array, "N D"]:
    """The last prompt token's states for each conversation, under the base weights: after every
    block that a head may look at, side by side.

    Raises: ScoresError for states that are NaN or infinite.
    """
    return in_order(list(read_states(model, conversations, depths(model))))


Batch = tuple[list[int], Float[mx.array, "_ D"]]
"""Which conversations were read, and their states."""


def read_states(
    model: SVFModel, conversations: Sequence[Conversation], blocks: Sequence[int]
) -> Iterator[Batch]:
    """The last prompt token's states after these blocks, batch by batch.

    Raises: ScoresError for states that are NaN or infinite.
    """
    prompts = [model.encode(conversation) for conversation in conversations]
    # a batch reads once what its prompts begin with, and pads them to the longest
    order = sorted(
        range(len(prompts)), key=lambda i: (prompts[i][:_BEGINNING], len(prompts[i]))
    )
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        with model.using({}):
            states = last_hidden(model, [prompts[row] for row in rows], blocks)
            if not mx.isfinite(states).all():  # computed now: frees the caches of these
                raise explain_scores(model, {})
        yield rows, states


def in_order(batches: Sequence[Batch]) -> Float[mx.array, "N D"]:
    """The states of all conversations, in their order."""
    rows = [row for batch, _ in batches for row in batch]
    return mx.concatenate([states for _, states in batches])[mx.argsort(mx.array(rows))]


def depths(model: SVFModel) -> tuple[int, ...]:
    """The blocks that end three, five and seven tenths of the network; none where mlx-lm does
    not list them.
    """
    n = count_blocks(model)
    return tuple(sorted({max(0, n * tenths // 10 - 1) for tenths in (3, 5, 7)})) if n else ()


def _candidates(model: SVFModel) -> list[tuple[int, ...]]:
    """What a head may look at: each of these blocks, neighbours together, or all."""
    read = depths(model)
    runs = [read[i : i + n] for n in (1, 2, 3) for i in range(len(read) - n + 1)]
    return runs or [()]


def _look_at(
    states: Float[mx.array, "N D"], blocks: tuple[int, ...], model: SVFModel
) -> Float[mx.array, "N d"]:
    """The part of `hidden_states` that belongs to these blocks."""
    if not blocks:
        return states
    read = depths(model)
    parts = mx.split(states, len(read), axis=1)
    return mx.concatenate([parts[read.index(block)] for block in blocks], axis=1)


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
