"""Scales from a router's posterior: those of the most probable expert, or a mixture of all.

Knows what a router is, not which one it has; knows no search.
"""

from collections.abc import Sequence
from itertools import chain
from math import isfinite
from typing import Any

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError
from mlx_t2.experts import acts_on_of, add
from mlx_t2.models import explain_scores
from mlx_t2.reading import BasePrompt
from mlx_t2.routing import Conversation, Router, decide
from mlx_t2.svf import ActsOn, stack_rows
from mlx_t2.tasks import OTHER

from .strategy import Adapted, Experts, LazyNumbers, check_labels, shared_prompt_of


class Chosen:
    """The expert of the router's most probable label; the base model where the router is not
    sure that any expert is meant.

    Waits for the posterior: whether the base model answers has to be known on the host, since
    the base is worn by wearing nothing.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2 A and B.
    Differs (10): for `other`, and for a label without an expert, it is the base model, exactly;
    the reference leaves the previous expert's weights in place for questions of no category.
    It has no threshold either.
    """

    is_fixed = False

    def __init__(self, name: str, router: Router, experts: Experts):
        check_known(experts, router)
        self.name = name
        self.acts_on: ActsOn = acts_on_of(list(experts.values()))
        self._router = router
        self._experts = dict(experts)

    def adapt(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> list[Adapted]:
        """What the router decides for each conversation.

        Raises: ScoresError for a posterior that is NaN.
        """
        weighed = self.weigh(conversations, read)
        return [self.wear(decide(scores, self.threshold), scores) for scores in weighed]

    @property
    def threshold(self) -> float:
        """The router's."""
        return self._router.threshold

    def weigh(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> list[dict[str, float]]:
        """{label: its probability} for each conversation. Raises ScoresError for NaN."""
        posterior: Any = self._router.posterior(conversations, read).tolist()
        if not all(map(isfinite, chain.from_iterable(posterior))):
            raise explain_scores(self._router.model, {})
        return [dict(zip(self._router.labels, row, strict=True)) for row in posterior]

    def wear(self, label: str, scores: dict[str, float]) -> Adapted:
        """The label's expert, chosen on these scores; the base model where it has none."""
        expert = self._experts.get(label)
        if expert is None:
            return Adapted({}, {}, label, scores, acts_on=self.acts_on)
        shares = {label: 1.0}
        return Adapted(expert.scales, shares, label, scores, expert.prompt, self.acts_on)


class Mixed:
    """A mixture of its own for each conversation, with the posterior α as the coefficients:

        z' = 1 + Σ_k α_k (z_k − 1),

    k over the experts. What the posterior gives to `other`, or to a label without an expert,
    belongs to the base model, whose deviation is zero; so the coefficients may sum to less
    than 1. Where 1 − α_other is below the router's threshold, all are 0: the base model.
    Nothing waits for the device, which computes z' while the second prompt is encoded. The
    prompt, too, is known beforehand: the one that all experts share, if they do.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2 C, for mixing at all.
    Differs (11): α is the posterior of one request, where the paper searches one α per task by
    the cross-entropy method on ten of its problems; and deviations from 1 are mixed, where the
    reference mixes the numbers before its sigmoid and multiplies the singular values by the
    result.
    """

    is_fixed = False

    def __init__(self, name: str, router: Router, experts: Experts):
        check_known(experts, router)
        self.name = name
        self._router = router
        self._labels = tuple(sorted(experts))
        chosen = [experts[label] for label in self._labels]
        self.acts_on: ActsOn = acts_on_of(chosen)
        add(chosen)  # refuses experts of different models or shapes
        self._columns = mx.array([router.labels.index(label) for label in self._labels])
        self._other = router.labels.index(OTHER)
        self._stacked = stack_rows([expert.scales for expert in chosen])
        self._prompt = shared_prompt_of(chosen)

    def adapt(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> list[Adapted]:
        """A mixture for each conversation; no label, since none is chosen."""
        posterior = self._router.posterior(conversations, read)
        is_sure = 1 - posterior[:, self._other] >= self._router.threshold
        coefficients = mx.where(is_sure[:, None], posterior[:, self._columns], 0)
        rows = {path: mix_rows(coefficients, z) for path, z in self._stacked.items()}
        return [
            Adapted(
                {path: row[b] for path, row in rows.items()},
                LazyNumbers(self._labels, coefficients[b]),
                None,
                LazyNumbers(self._router.labels, posterior[b]),
                self._prompt,
                self.acts_on,
            )
            for b in range(len(conversations))
        ]


def mix_rows(
    coefficients: Float[mx.array, "B K"], z: Float[mx.array, "K ..."]
) -> Float[mx.array, "B ..."]:
    """z' = (1 − Σ_k α_k) + Σ_k α_k z_k for each row of coefficients α.

    Written so that a certain router gives its expert's z, or the base model, exactly. A sum of
    products and no matrix product: some GPUs round the factors of those to 10 bits.

    >>> mix_rows(mx.array([[0.5, 0.25]]), mx.array([[2.0], [1.0]]))
    array([[1.5]], dtype=float32)
    """
    a = coefficients.reshape(*coefficients.shape, *[1] * (z.ndim - 1))
    return 1 - mx.sum(a, axis=1) + mx.sum(a * z, axis=1)


def check_known(experts: Experts, router: Router) -> None:
    """Raise ConfigError for an expert that the router could never choose."""
    check_labels(experts)
    unknown = [label for label in experts if label not in router.labels]
    if unknown:
        raise ConfigError(
            f"router: it knows {', '.join(router.labels)}, the experts are "
            f"{', '.join(experts)}. Train a router that knows {', '.join(unknown)}: t2 router"
        )
