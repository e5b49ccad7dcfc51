"""Whether `auto` chooses from an expert, too, told from files alone: for lists, where no model
is loaded. Knows libraries and the files of routers; does not know models.
"""

from collections.abc import Iterable

from mlx_t2.experts import Expert, Library
from mlx_t2.routing import RouterNames, names_in
from mlx_t2.svf import ActsOn, Recipe

from .routers import domain_of


def choose_kind(experts: Iterable[Expert]) -> ActsOn:
    """What the experts act on that one router chooses from: what most of these do, the answer
    where as many do either. One prompt cannot be read for both kinds.
    """
    kinds = [expert.acts_on for expert in experts]
    return "all" if kinds.count("all") > kinds.count("answer") else "answer"


def is_known(library: Library, expert: Expert) -> bool:
    """Whether `auto` chooses from the expert, too: the router of its model names it, by the
    task that it was trained on, and it acts on what the others do that the router names.

    The router that counts is the library's first of that model, as `find_router` has it.
    """
    for path in library.router_paths():
        said = names_in(path)
        if said is not None and _is_of(said, expert):
            others = [other for other, _ in library.experts() if _names(said, other)]
            return _names(said, expert) and expert.acts_on == choose_kind(others or [expert])
    return False


def _is_of(said: RouterNames, expert: Expert) -> bool:
    """Whether router and expert are of one model. A router's fingerprint is that of the default
    targets; of an expert of other layers the model's name has to do.
    """
    if expert.targets == Recipe().targets:
        return said.base_fingerprint == expert.base_fingerprint
    return said.base_model == expert.base_model


def _names(said: RouterNames, expert: Expert) -> bool:
    if not _is_of(said, expert) or expert.name not in said.labels:
        return False
    return domain_of(said.tasks.get(expert.name, expert.task)) == domain_of(expert.task)
