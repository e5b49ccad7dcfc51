"""Whether experts fit a model, and the one recipe that serves them all.

Computes no basis; changes neither model nor experts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import mlx.core as mx

from mlx_t2.errors import ConfigError
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel
from mlx_t2.svf import Recipe, Shapes

from .strategy import Experts


def check_expert(model: SVFModel, expert: Expert, allow_transfer: bool) -> None:
    """Raise ConfigError or ExpertFileError for an expert that the model cannot wear."""
    shapes = model.plan(Recipe(targets=expert.targets, rank=expert.rank)).shapes
    fingerprint = model.fingerprint(expert.targets)
    expert.check(model.name, fingerprint, shapes, allow_transfer)


def is_trained_on(model: SVFModel, expert: Expert) -> bool:
    """Whether the expert's fingerprint is this model's."""
    try:
        return expert.base_fingerprint == model.fingerprint(expert.targets)
    except ConfigError:  # the model has no such layers
        return False


@dataclass(frozen=True)
class Matched:
    """What decomposes a model for several experts, and the experts as that model wears them."""

    experts: Experts
    """Their scales as long as the model's layers need them."""
    recipe: Recipe | None
    """None where the model is ready."""


def match_experts(model: SVFModel, experts: Experts, bits: int | None) -> Matched:
    """What decomposes the model for all of the experts, and the experts padded to it."""
    if not experts:
        return Matched(experts, None)
    recipe = _common_recipe(model, experts.values(), bits)
    shapes = model.plan(recipe).shapes
    if _is_ready(model, recipe, shapes):
        recipe, shapes = None, model.shapes
    padded = {name: _pad(_rename(model, e), shapes) for name, e in experts.items()}
    return Matched(padded, recipe)


def _is_ready(model: SVFModel, recipe: Recipe, shapes: Shapes) -> bool:
    """Whether every layer has SVF scales of this length or longer already, on a basis made as
    the recipe says.
    """
    worn, made = model.shapes, model.recipe
    if made is None or made.precision != recipe.precision:
        return False
    return recipe.bits in (None, made.bits) and all(
        path in worn and worn[path][:-1] == shape[:-1] and worn[path][-1] >= shape[-1]
        for path, shape in shapes.items()
    )


def _common_recipe(model: SVFModel, experts: Iterable[Expert], bits: int | None) -> Recipe:
    """The union of the layers, and the largest rank; what the model has already stays, or two
    experts worn in turn would decompose it each time.
    """
    needed = [(expert.targets, expert.rank) for expert in experts]
    if model.recipe is not None:
        needed.append((model.recipe.targets, model.recipe.rank))
        bits = model.recipe.bits if bits is None else bits
    ranks = [rank for _, rank in needed]
    rank = None if None in ranks else max(rank for rank in ranks if rank is not None)
    return Recipe(targets=_union(model, {t for t, _ in needed}), rank=rank, bits=bits)


def _union(model: SVFModel, targets: set[str]) -> str:
    """Targets that choose every layer that any of `targets` chooses: one of them if it will do,
    else the paths themselves.
    """
    chosen = {name: set(model.find_targets(name)) for name in sorted(targets)}
    union = set().union(*chosen.values())
    names = [name for name, paths in chosen.items() if paths == union]
    return names[0] if names else f"^({'|'.join(map(re.escape, sorted(union)))})$"


def _rename(model: SVFModel, expert: Expert) -> Expert:
    """The expert of this model, whatever the model was called at its training: of experts with
    unlike targets the fingerprints cannot be compared, and mixing goes by the name.
    """
    if expert.base_model == model.name or not is_trained_on(model, expert):
        return expert
    return replace(expert, base_model=model.name)


def _pad(expert: Expert, shapes: Shapes) -> Expert:
    """The expert with z = 1 for singular values beyond its rank.

    Exact: a basis is ordered by singular value, largest first, so one of a larger rank begins
    with the columns of one of a smaller.
    """
    missing = {path: shapes[path][-1] - z.shape[-1] for path, z in expert.scales.items()}
    if not any(missing.values()):
        return expert
    padded = {
        path: mx.pad(z, [*[(0, 0)] * (z.ndim - 1), (0, missing[path])], constant_values=1.0)
        for path, z in expert.scales.items()
    }
    return replace(expert, scales=padded)
