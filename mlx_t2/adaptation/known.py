"""Whether `auto` chooses from an expert, too, told from files alone: for lists, where no model
is loaded. Knows libraries and the files of routers; does not know models.
"""

from mlx_t2.experts import Expert, Library
from mlx_t2.routing import names_in
from mlx_t2.svf import Recipe

from .routers import domain_of


def is_known(library: Library, expert: Expert) -> bool:
    """Whether the router of the expert's model names it, by the task that it was trained on.

    The router that counts is the library's first of that model, as `find_router` has it. A
    router's fingerprint is that of the default targets; of an expert of other layers the
    model's name has to do.
    """
    for path in library.router_paths():
        said = names_in(path)
        if said is None:
            continue
        is_same_model = (
            said.base_fingerprint == expert.base_fingerprint
            if expert.targets == Recipe().targets
            else said.base_model == expert.base_model
        )
        if is_same_model:
            task = said.tasks.get(expert.name, expert.task)
            return expert.name in said.labels and domain_of(task) == domain_of(expert.task)
    return False
