"""From the names of experts to a strategy, and a model that is ready to wear it.

Everything is validated before anything is changed. The model is decomposed for the union of
what the experts need, and only where it lacks something: a path that an expert does not scale
is z = 1 to it, and so is a singular value beyond its rank. Knows libraries, routers and
recipes; shows nothing: a `Preparation` says what it will do, what it passed over, and reports
as it goes.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import mlx.core as mx

from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.experts import Expert, Library
from mlx_t2.models import Decomposed, SVFModel
from mlx_t2.routing import HeadRouter, PromptRouter, Router
from mlx_t2.svf import Recipe, Shapes

from .fixed import Fixed
from .routed import Chosen, Mixed
from .strategy import Experts, Strategy, check_labels

Combiner = type[Chosen] | type[Mixed]


def _ask_the_base(model: SVFModel, library: Library, experts: Experts) -> Router:
    return PromptRouter(model, tuple(experts))


def _load_head(model: SVFModel, library: Library, experts: Experts) -> Router:
    return HeadRouter.load(library.router_path(model.name), model)


_ROUTED: dict[str, tuple[Callable[[SVFModel, Library, Experts], Router], Combiner]] = {
    "prompt": (_ask_the_base, Chosen),
    "classifier": (_load_head, Chosen),
    "mixture": (_load_head, Mixed),
}
"""Name → who gives the posterior, and what is made of it."""

ADAPTATIONS = (*_ROUTED, "sum", "none")
"""The strategies over all experts of a model, by name."""


@dataclass(frozen=True)
class PassedOver:
    """An expert that cannot be used here."""

    name: str
    why: str
    """Begins with the place: the file, or the expert's name."""


@dataclass(frozen=True)
class Preparation:
    """A strategy, checked against its model, and what the model still lacks to wear it."""

    model: SVFModel
    strategy: Strategy
    recipe: Recipe | None = None
    """How the model will be decomposed; None where it is ready as it is."""
    passed_over: tuple[PassedOver, ...] = ()
    """Experts of this model in the library that the strategy does without."""
    transferred: tuple[Expert, ...] = ()
    """Experts that were trained on another model."""

    @property
    def total(self) -> int:
        """How many weights will be decomposed."""
        return len(self.model.targeted(self.recipe.targets)) if self.recipe else 0

    def decompose(self) -> Iterator[Decomposed]:
        """Make the model ready; one report per weight."""
        if self.recipe is not None:
            yield from self.model.decompose(self.recipe)

    def finish(self) -> Strategy:
        """Make the model ready, without watching; returns the strategy."""
        for _ in self.decompose():
            pass
        return self.strategy


def find_strategy(
    model: SVFModel,
    library: Library | None = None,
    *,
    coefficients: Mapping[str, float] | None = None,
    adaptation: str = "none",
    allow_transfer: bool = False,
    basis_bits: int | None = None,
) -> Preparation:
    """The strategy of these names, checked; the model is as it was until `Preparation` runs.

    >>> strategy = find_strategy(model, adaptation="classifier").finish()  # doctest: +SKIP

    library: the user's own and the bundled experts unless given.
    coefficients: {name or path of an expert: its coefficient}; wins over `adaptation`.
    adaptation: one of ADAPTATIONS, over all experts of the model.
    allow_transfer: experts of other models with the same shapes, too.
    basis_bits: of an entry of a basis; the model's own, or what it has, when None.
    Raises: ConfigError for names that are unknown, or no expert of the model; ExpertFileError
        and ShapeError for experts that do not fit; ModelError for an architecture that cannot
        wear scales.
    """
    library = library or Library()
    if coefficients is not None:
        experts = {name: library.find(name) for name in coefficients}
        return wear_experts(model, experts, coefficients, allow_transfer, basis_bits)
    if adaptation not in ADAPTATIONS:
        raise ConfigError(
            f"adaptation: got {adaptation!r}, expected one of {', '.join(ADAPTATIONS)}"
        )
    if adaptation == "none":
        return Preparation(model, Fixed.base())
    found, passed_over = _experts_of(model, library, allow_transfer)
    if adaptation == "sum":
        known, make = found, Fixed.sum
    else:
        known, unknown, make = _route(model, library, found, adaptation)
        passed_over += unknown
    matched = _match(model, known, basis_bits)
    return Preparation(
        model,
        make(matched.experts),
        matched.recipe,
        tuple(passed_over),
        _transferred(model, known.values()),
    )


def wear_experts(
    model: SVFModel,
    experts: Experts,
    coefficients: Mapping[str, float],
    allow_transfer: bool = False,
    basis_bits: int | None = None,
) -> Preparation:
    """One expert, or a mixture of several, as a strategy; checked, and nothing is changed."""
    for expert in experts.values():
        _check(model, expert, allow_transfer)
    matched = _match(model, experts, basis_bits)
    strategy = Fixed.mixture(matched.experts, coefficients)
    return Preparation(
        model, strategy, matched.recipe, transferred=_transferred(model, experts.values())
    )


def strategy_of(model: SVFModel, chosen: Expert | Strategy | None) -> Strategy:
    """The strategy itself, or that of one expert, which the model is made ready for; the base
    model for None.
    """
    if chosen is None:
        return Fixed.base()
    if isinstance(chosen, Expert):
        return wear_experts(model, {chosen.name: chosen}, {chosen.name: 1.0}).finish()
    return chosen


# Which experts


def _experts_of(
    model: SVFModel, library: Library, allow_transfer: bool
) -> tuple[dict[str, Expert], list[PassedOver]]:
    """The experts of the model, or of any with its shapes, by name; and what is passed over.

    Raises: ConfigError where none is left.
    """
    passed_over = [PassedOver(path.stem, str(error)) for error, path in library.damaged()]
    found: dict[str, Expert] = {}
    for expert, _ in library.experts():
        if not allow_transfer and not _is_trained_on(model, expert):
            continue
        try:
            _check(model, expert, allow_transfer)
            check_labels({expert.name: expert})
            found[expert.name] = expert
        except (ConfigError, ExpertFileError) as error:
            passed_over.append(PassedOver(expert.name, str(error)))
    if not found:
        where = "library" if library.bundled is not None else library.own
        reasons = "".join(f"\npassed over: {one.why}" for one in passed_over)
        raise ConfigError(
            f"{where}: no expert of {model.name}, expected at least one. Train one: t2 train"
            + reasons
        )
    return found, passed_over


def _check(model: SVFModel, expert: Expert, allow_transfer: bool) -> None:
    """Raise ConfigError or ExpertFileError for an expert that the model cannot wear."""
    shapes = model.plan(Recipe(targets=expert.targets, rank=expert.rank)).shapes
    fingerprint = model.fingerprint(expert.targets)
    expert.check(model.name, fingerprint, shapes, allow_transfer)


def _is_trained_on(model: SVFModel, expert: Expert) -> bool:
    try:
        return expert.base_fingerprint == model.fingerprint(expert.targets)
    except ConfigError:  # the model has no such layers
        return False


def _transferred(model: SVFModel, experts: Iterable[Expert]) -> tuple[Expert, ...]:
    return tuple(expert for expert in experts if not _is_trained_on(model, expert))


# Which router


def _route(
    model: SVFModel, library: Library, experts: Experts, adaptation: str
) -> tuple[dict[str, Expert], list[PassedOver], Callable[[Experts], Strategy]]:
    """The experts that the router knows, those that it does not, and what makes a strategy."""
    make_router, combine = _ROUTED[adaptation]
    router = make_router(model, library, experts)
    known = {name: expert for name, expert in experts.items() if name in router.labels}
    labels = ", ".join(router.labels)
    unknown = [
        PassedOver(name, f"expert {name!r}: the router knows {labels}. Train a router anew")
        for name in experts
        if name not in known
    ]
    return known, unknown, lambda matched: combine(adaptation, router, matched)


# What the model needs


@dataclass(frozen=True)
class _Matched:
    experts: Experts
    """Their scales as long as the model's layers need them."""
    recipe: Recipe | None
    """None where the model is ready."""


def _match(model: SVFModel, experts: Experts, bits: int | None) -> _Matched:
    """What decomposes the model for all of the experts, and the experts padded to it."""
    if not experts:
        return _Matched(experts, None)
    recipe = _common_recipe(model, experts.values(), bits)
    shapes = model.plan(recipe).shapes
    if _is_ready(model, recipe, shapes):
        recipe, shapes = None, model.shapes
    return _Matched({name: _pad(expert, shapes) for name, expert in experts.items()}, recipe)


def _is_ready(model: SVFModel, recipe: Recipe, shapes: Shapes) -> bool:
    """Whether each layer wears scales of this length or longer. A basis of fewer bits that is
    asked for is made anew.
    """
    worn = model.shapes
    return recipe.bits is None and all(
        path in worn and worn[path][:-1] == shape[:-1] and worn[path][-1] >= shape[-1]
        for path, shape in shapes.items()
    )


def _common_recipe(model: SVFModel, experts: Iterable[Expert], bits: int | None) -> Recipe:
    """The union of the layers, and the largest rank."""
    experts = list(experts)
    ranks = [expert.rank for expert in experts if expert.rank is not None]
    rank = max(ranks) if len(ranks) == len(experts) else None
    return Recipe(targets=_union(model, {e.targets for e in experts}), rank=rank, bits=bits)


def _union(model: SVFModel, targets: set[str]) -> str:
    """Targets that choose every layer that any of `targets` chooses: one of them if it will do,
    else the paths themselves.
    """
    chosen = {name: set(model.targeted(name)) for name in sorted(targets)}
    union = set().union(*chosen.values())
    names = [name for name, paths in chosen.items() if paths == union]
    return names[0] if names else f"^({'|'.join(map(re.escape, sorted(union)))})$"


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
