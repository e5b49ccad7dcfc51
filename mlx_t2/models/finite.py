"""Why scores are NaN or infinite: a weight of the model, the scales that it wears, or an
overflow. Looked for only once it has happened; knows no experts by name.
"""

from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from mlx_t2.errors import ScoresError
from mlx_t2.svf import Scales

from .svf_model import SVFModel


def explain_scores(model: SVFModel, scales: Scales) -> ScoresError:
    """The error for scores that are NaN or infinite under `scales`."""
    words = f"{model.name}: its scores are NaN or infinite, expected finite numbers"
    with model.using({}):
        broken = _first_broken(model)
    if broken is not None:
        return ScoresError(
            f"{words}: {broken} has entries that are NaN or infinite. The model's files are "
            "damaged: get them again, or choose another model"
        )
    if scales:
        return ScoresError(
            f"{words}. Its weights are finite: the scales that it wears are too large",
            by_scales=True,
        )
    return ScoresError(
        f"{words}. Its weights are finite, so they overflow: choose another model, or a copy "
        "in another precision"
    )


def _first_broken(model: SVFModel) -> str | None:
    """The path of the first weight that is not finite."""
    parameters: Any = tree_flatten(model.network.parameters())
    for path, array in parameters:
        if mx.issubdtype(array.dtype, mx.floating) and not mx.isfinite(array).all().item():
            return path
    return None
