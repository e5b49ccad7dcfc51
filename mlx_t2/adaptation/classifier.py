"""The classifier strategy: the router names the expert. Knows no mixing."""

from collections.abc import Sequence

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.reading import last_hidden

from .router import Router
from .strategy import Adapted, Conversation, Experts, check_labels, choose


class ClassifierStrategy:
    """The expert of the router's most probable label; the base model, exactly, for `other`.

    The router reads the whole conversation as it is encoded for the answer, so the first pass
    is one prefill.
    """

    name = "classifier"
    is_fixed = False

    def __init__(self, experts: Experts, router: Router):
        check_router(experts, router)
        self._experts = experts
        self._router = router

    def adapt(self, model: SVFModel, conversations: Sequence[Conversation]) -> list[Adapted]:
        """The most probable label's expert for each conversation."""
        return choose(
            self._experts, self._router.labels, posterior_of(self._router, model, conversations)
        )


def posterior_of(
    router: Router, model: SVFModel, conversations: Sequence[Conversation]
) -> Float[mx.array, "B K"]:
    """The router's probabilities for each conversation, lazily.

    Raises: ExpertFileError for the router of another model.
    """
    router.check(model)
    prompts = [model.encode(conversation) for conversation in conversations]
    with model.using({}):
        return router.posterior(last_hidden(model, prompts))


def check_router(experts: Experts, router: Router) -> None:
    """Raise ConfigError for an expert that the router could never choose."""
    check_labels(experts)
    unknown = [label for label in experts if label not in router.labels]
    if unknown:
        raise ConfigError(
            f"router: it knows {', '.join(router.labels)}, the experts are "
            f"{', '.join(experts)}. Train a router that knows {', '.join(unknown)}"
        )
