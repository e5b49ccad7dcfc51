"""The mixture strategy: every expert, as much as the router believes in it. Knows no search."""

from collections.abc import Sequence

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.experts import add
from mlx_t2.models import SVFModel

from .classifier import check_router, posterior_of
from .router import Router
from .strategy import Adapted, Conversation, Experts, Reading, stack_rows


class MixtureStrategy:
    """A mixture of its own for each conversation, with the router's posterior α as the weights:

        z' = 1 + Σ_k α_k (z_k − 1),

    k over the experts. What the posterior gives to `other`, or to a label without an expert,
    belongs to the base model, whose deviation is zero; so the weights may sum to less than 1.
    Nothing here waits for the device: z' is a graph that the second pass goes on with.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2 C, for mixing at all.
    Differs (6): α is the posterior of one request, not found once a task by the cross-entropy
    method on ten of its problems: it needs no labelled problems and no search.
    Differs (7): deviations from 1 are mixed. The reference mixes the numbers before its sigmoid
    and multiplies the singular values by the result.
    """

    name = "mixture"
    is_fixed = False

    def __init__(self, experts: Experts, router: Router):
        check_router(experts, router)
        add(list(experts.values()))  # refuses experts that do not belong together
        self._labels = tuple(experts)
        self._router = router
        self._columns = mx.array([router.labels.index(label) for label in experts])
        self._stacked = stack_rows([expert.scales for expert in experts.values()])

    def adapt(self, model: SVFModel, conversations: Sequence[Conversation]) -> list[Adapted]:
        """A mixture for each conversation; no label, since none is chosen."""
        posterior = posterior_of(self._router, model, conversations)
        weights = posterior[:, self._columns]
        rows = {path: mixed(weights, z) for path, z in self._stacked.items()}
        return [
            Adapted(
                {path: row[b] for path, row in rows.items()},
                Reading(self._labels, weights[b]),
                None,
                Reading(self._router.labels, posterior[b]),
            )
            for b in range(len(conversations))
        ]


def mixed(weights: Float[mx.array, "B K"], z: Float[mx.array, "K r"]) -> Float[mx.array, "B r"]:
    """z' = (1 − Σ_k α_k) + Σ_k α_k z_k for each row of weights.

    Written so that a certain router gives its expert's z, or the base model, exactly. A sum of
    products and no matrix product: some GPUs round the factors of those to 10 bits.
    """
    base = 1 - mx.sum(weights, axis=1, keepdims=True)
    return base + mx.sum(weights[:, :, None] * z, axis=1)
