"""From the names of experts to a strategy, and a model that is ready to wear it.

Everything is validated before anything is changed. The model is decomposed for the union of
what the experts need, and only where it lacks something: a path that an expert does not scale
is z = 1 to it, and so is a singular value beyond its rank. Knows libraries, routers and
recipes; shows nothing: a `Preparation` says what it will do, what it passed over, and reports
as it goes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mlx_t2.errors import ConfigError, ExpertFileError, T2Error
from mlx_t2.experts import Expert, Library, is_bundled
from mlx_t2.models import Decomposed, SVFModel
from mlx_t2.routing import Category, ClsRouter, HeadRouter, PromptRouter
from mlx_t2.svf import Recipe
from mlx_t2.tasks import CLS, describe_task, example_questions

from .fixed import Fixed
from .matching import check_expert, is_trained_on, match_experts
from .routed import Chosen, Mixed, check_known
from .routers import PassedOver, find_router, name_unknown, task_of
from .strategy import Experts, Strategy, check_labels

Combiner = type[Chosen] | type[Mixed]


_ROUTED: dict[str, Combiner] = {
    "auto": Chosen,
    "prompt": Chosen,
    "classifier": Chosen,
    "cls": Chosen,
    "mixture": Mixed,
}
"""Name → what is made of a router's posterior; `auto` is the classifier."""

_TOGETHER: dict[str, Callable[[Experts], Strategy]] = {
    "sum": Fixed.sum,
    "average": Fixed.average,
}
"""Name → all experts in one, without a first pass."""

_BASE = ("off", "none")
_ACTS_ON = {"all": "all of a conversation", "answer": "the answer alone"}

ADAPTATIONS = (*_ROUTED, *_TOGETHER, *_BASE)
"""The strategies over all experts of a model, by name."""


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
        return len(self.model.find_targets(self.recipe.targets)) if self.recipe else 0

    def decompose(self) -> Iterator[Decomposed]:
        """Make the model ready; one report per weight."""
        if self.recipe is not None:
            yield from self.model.decompose(self.recipe)

    def finish(self) -> Strategy:
        """Make the model ready, without watching; returns the strategy."""
        for _ in self.decompose():
            pass
        return self.strategy


def prepare_strategy(
    model: SVFModel,
    library: Library | None = None,
    *,
    coefficients: Mapping[str, float] | None = None,
    adaptation: str = "none",
    allow_transfer: bool = False,
    basis_bits: int | None = None,
    router: Path | None = None,
) -> Preparation:
    """The strategy of these names, checked; the model is as it was until `Preparation` runs.

        strategy = prepare_strategy(model, adaptation="classifier").finish()

    library: the user's own and the bundled experts unless given.
    coefficients: {name or path of an expert: its coefficient}; wins over `adaptation`.
    adaptation: one of ADAPTATIONS, over all experts of the model.
    allow_transfer: experts of other models with the same shapes, too.
    basis_bits: per entry of a basis; None keeps what the model has.
    router: file of the router, in place of the one beside the experts.
    Raises: ConfigError for names that are unknown, or no expert of the model; ExpertFileError
        and ShapeError for experts that do not fit; ModelError for an architecture that cannot
        wear scales.
    """
    library = library or Library()
    if coefficients is not None:
        experts = {name: library.find(name) for name in coefficients}
        return prepare_experts(model, experts, coefficients, allow_transfer, basis_bits)
    if adaptation not in ADAPTATIONS:
        raise ConfigError(
            f"adaptation: got {adaptation!r}, expected one of {', '.join(ADAPTATIONS)}"
        )
    if adaptation in _BASE:
        return Preparation(model, Fixed.base())
    found, passed_over = _experts_of(model, library, allow_transfer)
    known, others, make = _combine(model, library, found, adaptation, router)
    bundled = {expert.name for expert, path in library.experts() if is_bundled(path)}
    passed_over += [replace(one, is_bundled=one.name in bundled) for one in others]
    matched = match_experts(model, known, basis_bits)
    return Preparation(
        model,
        make(matched.experts),
        matched.recipe,
        tuple(passed_over),
        _name_transfers(model, known.values()),
    )


def prepare_experts(
    model: SVFModel,
    experts: Experts,
    coefficients: Mapping[str, float],
    allow_transfer: bool = False,
    basis_bits: int | None = None,
) -> Preparation:
    """One expert, or a mixture of several, as a strategy; checked, and nothing is changed."""
    for expert in experts.values():
        check_expert(model, expert, allow_transfer)
    matched = match_experts(model, experts, basis_bits)
    strategy = Fixed.mixture(matched.experts, coefficients)
    return Preparation(
        model, strategy, matched.recipe, transferred=_name_transfers(model, experts.values())
    )


def prepare_all(
    model: SVFModel,
    library: Library | None = None,
    names: Iterable[str] = (),
    allow_transfer: bool = False,
    basis_bits: int | None = None,
) -> tuple[Preparation, Experts]:
    """The base model, to be made ready for these experts of it, and the experts as it will wear
    them: all that act on the same, or those named.

    Raises: as `prepare_strategy` does.
    """
    library = library or Library()
    if chosen := {name: library.find(name) for name in names}:
        for expert in chosen.values():
            check_expert(model, expert, allow_transfer)
        check_labels(chosen)
        passed_over: list[PassedOver] = []
    else:
        found, passed_over = _experts_of(model, library, allow_transfer)
        chosen, others = _keep_one_kind(found)
        passed_over += others
    matched = match_experts(model, chosen, basis_bits)
    preparation = Preparation(
        model,
        Fixed.base(),
        matched.recipe,
        tuple(passed_over),
        _name_transfers(model, chosen.values()),
    )
    return preparation, matched.experts


def route_among(
    model: SVFModel, library: Library, experts: Experts, router: Path | None = None
) -> tuple[Chosen, list[PassedOver]]:
    """`auto` over those of these experts that the model's router knows and that act on the
    same; and those it does without. The experts are worn as they are.

    router: its file, in place of the one beside the experts.
    Raises: ExpertFileError for no router, or one that is not usable; ConfigError where it knows
        none of the experts.
    """
    found, _ = find_router(model, library, router)
    known, unknown = _split_known(found, experts)
    alike, others = _keep_one_kind(known) if known else ({}, [])
    return Chosen("auto", found, alike), unknown + others


def prepare_every(
    model: SVFModel,
    library: Library | None = None,
    allow_transfer: bool = False,
    basis_bits: int | None = None,
) -> tuple[Preparation, Experts]:
    """The base model, to be made ready for every expert of it, whatever each acts on, and the
    experts as it will wear them; none where the library has none.

    Raises: as `prepare_strategy` does.
    """
    try:
        found, passed_over = _experts_of(model, library or Library(), allow_transfer)
    except ConfigError:
        return Preparation(model, Fixed.base()), {}
    matched = match_experts(model, found, basis_bits)
    transferred = _name_transfers(model, found.values())
    preparation = Preparation(
        model, Fixed.base(), matched.recipe, tuple(passed_over), transferred
    )
    return preparation, matched.experts


def strategy_of(model: SVFModel, chosen: Expert | Strategy | None) -> Strategy:
    """The strategy itself, or that of one expert, which the model is made ready for; the base
    model for None.
    """
    if chosen is None:
        return Fixed.base()
    if isinstance(chosen, Expert):
        return prepare_experts(model, {chosen.name: chosen}, {chosen.name: 1.0}).finish()
    return chosen


# Which experts


def _experts_of(
    model: SVFModel, library: Library, allow_transfer: bool
) -> tuple[dict[str, Expert], list[PassedOver]]:
    """The experts of the model, or of any with its shapes, by name; and what is passed over.

    Raises: ConfigError where none is left.
    """
    passed_over = [PassedOver(path.stem, str(error)) for error, path in library.find_damaged()]
    found: dict[str, Expert] = {}
    for expert, _ in library.experts():
        if expert.task == CLS or not (allow_transfer or is_trained_on(model, expert)):
            continue
        try:
            check_expert(model, expert, allow_transfer)
            check_labels({expert.name: expert})
            found[expert.name] = expert
        except T2Error as error:
            passed_over.append(PassedOver(expert.name, str(error)))
    if not found:
        where = "library" if library.bundled is not None else library.own
        reasons = "".join(f"\npassed over: {one.why}" for one in passed_over)
        raise ConfigError(
            f"{where}: no expert of {model.name}, expected at least one. Train one: t2 train"
            + reasons
        )
    return found, passed_over


def _name_transfers(model: SVFModel, experts: Iterable[Expert]) -> tuple[Expert, ...]:
    return tuple(expert for expert in experts if not is_trained_on(model, expert))


# Which router


def _combine(
    model: SVFModel, library: Library, experts: Experts, adaptation: str, file: Path | None
) -> tuple[dict[str, Expert], list[PassedOver], Callable[[Experts], Strategy]]:
    """The experts that are combined, those that are not, and what makes a strategy of them.

    They are those that the router knows, also for a strategy that does not ask it: else what is
    not chat, as the questions of arc-easy whose options are scored, would be added to chat.
    """
    if adaptation == "cls":
        return _route_by_expert(model, library, experts, file)
    if adaptation in _TOGETHER or adaptation == "prompt":
        known, unknown = _prefer_known(model, library, experts)
        alike, others = _keep_one_kind(known)
        if adaptation in _TOGETHER:
            return alike, unknown + others, _TOGETHER[adaptation]
        categories = {name: _describe(expert) for name, expert in known.items()}
        prompted = partial(Chosen, "prompt", PromptRouter(model, categories))
        return alike, unknown + others, prompted
    router, _ = find_router(model, library, file)
    known, unknown = _split_known(router, experts)
    if not known:
        check_known(experts, router)
        raise ConfigError("\n".join(one.why for one in unknown))
    alike, others = _keep_one_kind(known)
    return alike, unknown + others, partial(_ROUTED[adaptation], adaptation, router)


def _split_known(
    router: HeadRouter, experts: Experts
) -> tuple[dict[str, Expert], list[PassedOver]]:
    """The experts that the router knows, and the others."""
    unknown = name_unknown(router, dict(experts))
    names = {one.name for one in unknown}
    return {name: e for name, e in experts.items() if name not in names}, unknown


def _prefer_known(
    model: SVFModel, library: Library, experts: Experts
) -> tuple[dict[str, Expert], list[PassedOver]]:
    """The experts that the model's router knows, and the others; all, where no router can be
    read, or none that knows any.
    """
    try:
        known, unknown = _split_known(find_router(model, library)[0], experts)
    except ExpertFileError:
        return dict(experts), []
    return (known, unknown) if known else (dict(experts), [])


def _describe(expert: Expert) -> Category:
    """What its file says of it; what is missing there from its task, where that is at hand."""
    description, examples = expert.description, expert.examples
    if not (description and examples):
        with suppress(T2Error):
            task = task_of(expert)
            description = description or describe_task(task)
            examples = examples or example_questions(task)
    return Category(description, examples)


def _route_by_expert(
    model: SVFModel, library: Library, experts: Experts, file: Path | None
) -> tuple[dict[str, Expert], list[PassedOver], Callable[[Experts], Strategy]]:
    """As `_combine`, by the expert that was trained to classify: it is made ready with the
    others.

    Raises: ConfigError where there is none of this model, or it knows none of the experts.
    """
    judge = _find_judge(model, library, file)
    labels = tuple(judge.config.get("options", ()))
    why = f"the expert {judge.name!r} knows {', '.join(labels) or 'no labels'}"
    unknown = [
        PassedOver(
            name,
            f"expert {name!r}: {why}. Wear it by name (--expert), or train one that knows it: "
            f"t2 train {CLS}",
        )
        for name in experts
        if name not in labels
    ]
    known = {name: expert for name, expert in experts.items() if name in labels}
    if not known:
        raise ConfigError("\n".join(one.why for one in unknown))
    alike, others = _keep_one_kind(known)

    def make(matched: Experts) -> Strategy:
        worn = {name: expert for name, expert in matched.items() if name in alike}
        scales = matched[judge.name].scales
        return Chosen("cls", ClsRouter(model, labels, scales, judge.acts_on), worn)

    return alike | {judge.name: judge}, unknown + others, make


def _find_judge(model: SVFModel, library: Library, file: Path | None) -> Expert:
    """The expert in that file, else the library's first of this model that was trained on
    `cls`.
    """
    if file is not None:
        expert = Expert.load(file)
        check_expert(model, expert, allow_transfer=False)
        return expert
    for expert, _ in library.experts():
        if expert.task == CLS and is_trained_on(model, expert):
            return expert
    raise ConfigError(
        f"library: no expert of {model.name} that was trained to classify, expected one. Train "
        f"one: t2 train {CLS}"
    )


def _keep_one_kind(experts: Experts) -> tuple[dict[str, Expert], list[PassedOver]]:
    """Those that act on what most of them do, or on the answer where as many do either; and the
    others, which one prompt cannot be read for together with these.
    """
    kinds = [expert.acts_on for expert in experts.values()]
    kept = max(("answer", "all"), key=kinds.count)
    others = [
        PassedOver(
            name,
            f"expert {name!r}: acts on {_ACTS_ON[expert.acts_on]}, those that are chosen from "
            f"on {_ACTS_ON[kept]}. Wear it by its name (--expert {name})",
        )
        for name, expert in experts.items()
        if expert.acts_on != kept
    ]
    return {name: e for name, e in experts.items() if e.acts_on == kept}, others
