"""Routers of a library's experts: finding one, training one, and adding an expert.

A router lies beside the experts and is a model's by its fingerprint, whatever it or the model
is called. Knows libraries, tasks and routers; shows nothing.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlx_t2.errors import ConfigError, ExpertFileError, T2Error, TaskDataError
from mlx_t2.experts import Expert, Library
from mlx_t2.models import SVFModel
from mlx_t2.routing import (
    Examples,
    HeadRouter,
    depths,
    fingerprint_in,
    in_order,
    read_states,
    router_examples,
)
from mlx_t2.tasks import Task, get_task

from .matching import is_trained_on
from .strategy import check_labels


@dataclass(frozen=True)
class PassedOver:
    """An expert that cannot be used here."""

    name: str
    why: str
    """Begins with the place: the file, or the expert's name."""
    is_bundled: bool = False
    """It comes with the program, is whole, and is worn by name: no news to whoever asks."""


# Finding


def find_router(
    model: SVFModel, library: Library, file: Path | None = None
) -> tuple[HeadRouter, Path]:
    """The router in that file, else the library's first that is this model's; and its file.

    Raises: ExpertFileError for a file that is not usable, or where there is none.
    """
    if file is not None:
        return HeadRouter.load(file, model), file
    faults = []
    for path in library.router_paths():
        try:
            return HeadRouter.load(path, model), path
        except ExpertFileError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    reasons = "".join(f"\npassed over: {error}" for error in faults)
    raise ExpertFileError(
        f"library: no router of {model.name}, expected one beside its experts. "
        "Train one: t2 router" + reasons
    )


def place_of_router(model: SVFModel, library: Library) -> Path:
    """Where a router of this model is written: beside the own experts. The file of another
    model's router is left alone.
    """
    plain, mine = library.own / "router.safetensors", model.fingerprint()
    if fingerprint_in(plain) in (None, mine):
        return plain
    return library.own / f"router-{mine[:12]}.safetensors"


def name_unknown(router: HeadRouter, experts: dict[str, Expert]) -> list[PassedOver]:
    """The experts that the router does not know, and those that it knows by another task."""
    unknown = []
    for name, expert in experts.items():
        if name not in router.labels:
            why = f"the router knows {', '.join(router.labels)}"
        elif domain_of(router.tasks.get(name, expert.task)) != domain_of(expert.task):
            why = f"the router knows it by the task {router.tasks[name]}, not {expert.task}"
        else:
            continue
        advice = "Wear it by name (--expert), or train a router that knows it: t2 router"
        unknown.append(PassedOver(name, f"expert {name!r}: {why}. {advice}"))
    return unknown


def domain_of(task: str) -> str:
    """What the task's questions are about; the name itself, where the task is not at hand."""
    try:
        return get_task(task).domain
    except T2Error:
        return task


# Training


@dataclass
class RouterTraining:
    """A router that is about to be trained: read the examples, then finish.

    training = plan_router(model)
    for n_read in training.read():
        print(n_read, "of", training.total)
    router = training.finish()
    """

    model: SVFModel
    tasks: dict[str, str]
    """{label: task}: the experts that it will know."""
    passed_over: tuple[PassedOver, ...]
    """The experts that it will not, and why."""
    examples: Examples
    held_out: Examples
    _batches: list = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many conversations will be read."""
        return len(self.examples) + len(self.held_out)

    def read(self) -> Iterator[int]:
        """Read them all under the base weights; yields how many each batch had. Raises
        ScoresError for states that are NaN or infinite.
        """
        problems = [*self.examples, *self.held_out]
        self._batches = []
        for rows, states in read_states(
            self.model, [p.messages for p in problems], depths(self.model)
        ):
            self._batches.append((rows, states))
            yield len(rows)

    def finish(self) -> HeadRouter:
        """The router, calibrated on what was held out."""
        if not self._batches:
            for _ in self.read():
                pass
        states, n = in_order(self._batches), len(self.examples)
        return HeadRouter.fit(
            self.model, (self.examples, states[:n]), (self.held_out, states[n:]), self.tasks
        )


def plan_router(
    model: SVFModel,
    library: Library | None = None,
    seed: int = 0,
    with_public: bool = True,
    names: Collection[str] | None = None,
) -> RouterTraining:
    """A router for the experts of the model in the library, from the problems that they were
    trained and validated on; nothing is computed yet. The seed says which.

    with_public: see `router_examples`.
    names: of the experts that it shall know; None is all that have a task at hand.
    Raises: ConfigError where no expert of the model can be told from the others.
    """
    library = library or Library()
    tasks: dict[str, Task] = {}
    passed_over = [PassedOver(path.stem, str(error)) for error, path in library.find_damaged()]
    task_names: dict[str, str] = {}
    for expert, _ in library.experts():
        if not is_trained_on(model, expert) or (names is not None and expert.name not in names):
            continue
        try:
            check_labels({expert.name: expert})
            task = task_of(expert)
            _check_new(task, tasks)
            tasks[expert.name], task_names[expert.name] = task, expert.task
        except T2Error as error:
            passed_over.append(PassedOver(expert.name, f"expert {expert.name!r}: {error}"))
    if not tasks:
        reasons = "".join(f"\npassed over: {one.why}" for one in passed_over)
        raise ConfigError(
            f"library: no expert of {model.name} with a task that is at hand, expected at "
            f"least one. Train one: t2 train{reasons}"
        )
    examples, held_out = (
        router_examples(tasks, split, seed, with_public) for split in ("train", "validation")
    )
    return RouterTraining(model, task_names, tuple(passed_over), examples, held_out)


def task_of(expert: Expert) -> Task:
    """The task that it was trained on, its problems at hand. Raises TaskDataError.

    An expert may be a stranger's: with another grader, no code of its task's file is run.
    """
    file = expert.config.get("task_file")
    if isinstance(file, str) and file:
        task = get_task(file, grader="exact")
    else:
        task = get_task(expert.task)
    for split in ("train", "validation"):
        task.problems(split, 1)
    return task


def _check_new(task: Task, tasks: dict[str, Task]) -> None:
    """Raise TaskDataError where another expert answers the same questions."""
    for label, other in tasks.items():
        if (other.domain, other.file) == (task.domain, task.file):
            raise TaskDataError(
                f"got the task {task.name}, the domain of {label!r}, expected one of its own: "
                "no question tells the two apart"
            )


# Adding


def extend_router(
    model: SVFModel, library: Library | None = None, seed: int = 0
) -> tuple[HeadRouter, Path]:
    """A router that knows all experts of the library, in its place; and where that is.

    Trained anew from all their tasks: what tells one from the others changes with each.
    """
    library = library or Library()
    router, path = plan_router(model, library, seed).finish(), place_of_router(model, library)
    router.save(path)
    return router, path
