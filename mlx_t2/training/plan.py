"""The dry run: what a training would take on this machine, memory by part and time per step.

Knows models and settings; trains nothing and writes nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlx.utils import tree_flatten

from mlx_t2 import blas
from mlx_t2.models import SVFModel
from mlx_t2.sampling import SamplingConfig, sample, score_options
from mlx_t2.svf import Arrays
from mlx_t2.tasks import Problem, Task

from .config import TrainConfig
from .gradient import AdvantageGroup, Objective
from .learner import check_model, check_task, parametrise, start_scales
from .phase import Phase, Watched, finish
from .probe import PROBLEMS, SAMPLES
from .row_limits import Costs, RowLimits, measure_costs, plan_memory


@dataclass(frozen=True)
class TrainPlan:
    """What a training takes; bytes and seconds."""

    weights: int
    bases: int
    trained: int
    """Parameters, gradient, optimiser, best: a few numbers per singular value."""
    sampling: int
    """Keys, values and scores of the completions that are decoded at a time."""
    gradient: int
    """A pass over `rows` completions."""
    limit: int
    rows: int
    """Completions in one gradient pass."""
    decoded: int
    """Completions decoded at a time."""
    completions: int
    """Completions per step."""
    step_seconds: float
    """A step whose completions are all as long as may be and whose problems all carry a signal.
    """
    total_seconds: float
    """All steps with their evaluations, likewise."""
    threads: int
    """BLAS's, with which it was measured; 0 where BLAS decides."""
    threads_why: str


def plan_training(model: SVFModel, task: Task, config: TrainConfig) -> TrainPlan:
    """What `train` would take on this machine, measured.

    Raises: ConfigError for a model decomposed otherwise; TrainingError where it does not fit.
    """
    return finish(watch_planning(model, task, config))


def find_costs(model: SVFModel, config: TrainConfig) -> Costs:
    """What gradient passes over this model take, measured on a few tokens."""
    trained = parametrise(model, config, start_scales(model, config))
    objective = Objective(model, trained, config)
    return finish(measure_costs(model, objective, trained.initial))


def watch_planning(model: SVFModel, task: Task, config: TrainConfig) -> Watched[TrainPlan]:
    """`plan_training`, with a `Phase` wherever a measurement begins."""
    threads = blas.choose_threads(0.5)
    with blas.threads(threads.count):
        return (yield from _measure(model, task, config, threads))


def _measure(
    model: SVFModel, task: Task, config: TrainConfig, threads: blas.Threads
) -> Watched[TrainPlan]:
    check_model(model, config)
    check_task(task, config)
    trained = parametrise(model, config, start_scales(model, config))
    objective, parameters = Objective(model, trained, config), trained.initial
    costs = yield from measure_costs(model, objective, parameters)
    memory = plan_memory(model, task, costs, config)
    problems = task.step(config.prompts, config.seed)
    free = [model.encode(p.messages) for p in problems if not p.options]
    given = [p for p in problems if p.options]
    yield Phase("timing sampling")
    drawing = _time_sampling(model, free, task.max_tokens, config, memory.limits)
    scoring, groups = _time_scoring(model, given)
    yield Phase("timing the gradient")
    step = drawing + scoring + _time_gradient(objective, parameters, groups, memory.limits.rows)
    if free:
        rows = min(memory.limits.rows, config.group)
        answers = ((1,) * task.max_tokens,) * rows
        group = AdvantageGroup(tuple(free[0]), answers, (1.0,) * rows)
        seconds = _time_gradient(objective, parameters, [group], rows)
        step += len(free) * config.group * seconds / rows
    answered = (config.steps // config.eval_every + 1) * config.validation + 2 * config.test
    answering = (drawing / config.group + scoring) / config.prompts
    probed = PROBLEMS if config.probe else 0
    probing = (SAMPLES * drawing / config.group + scoring) / config.prompts
    return TrainPlan(
        weights=_total_bytes(model.network.parameters()),
        bases=model.basis_bytes,
        trained=5 * _total_bytes(parameters),
        sampling=memory.decode_bytes,
        gradient=memory.pass_bytes,
        limit=memory.limit_bytes,
        rows=memory.limits.rows,
        decoded=memory.limits.decoded,
        completions=len(free) * config.group + sum(len(g.completions) for g in groups),
        step_seconds=step,
        total_seconds=config.steps * step + answering * answered + probing * probed,
        threads=threads.count,
        threads_why=threads.why,
    )


def _total_bytes(tree: Any) -> int:
    arrays: Any = tree_flatten(tree)
    return sum(array.nbytes for _, array in arrays)


def _time_gradient(
    objective: Objective, parameters: Arrays, groups: list[AdvantageGroup], rows: int
) -> float:
    """Seconds for the gradient of these groups."""
    if not groups:
        return 0.0

    def work() -> Any:
        return objective.gradient(parameters, groups, rows)

    work()  # warm
    return _seconds(work)


def _time_scoring(
    model: SVFModel, problems: list[Problem]
) -> tuple[float, list[AdvantageGroup]]:
    """Seconds for the scores of all options, and the options as their gradient reads them."""
    if not problems:
        return 0.0, []
    prompts = [model.encode(problem.messages) for problem in problems]

    def work() -> Any:
        return score_options(model, prompts, [problem.options for problem in problems])

    groups = [
        AdvantageGroup(tuple(prompt), choice.tokens, (1.0,) * len(choice.tokens), True)
        for prompt, choice in zip(prompts, work(), strict=True)
    ]
    return _seconds(work), groups


def _time_sampling(
    model: SVFModel,
    prompts: list[list[int]],
    longest: int,
    config: TrainConfig,
    limits: RowLimits,
) -> float:
    """Seconds for the completions of a step, from the time for two tokens and for four."""
    if not prompts:
        return 0.0

    def draw(tokens: int) -> Callable[[], Any]:
        drawing = SamplingConfig(
            temperature=config.temperature, max_tokens=tokens, max_rows=limits.decoded
        )
        return lambda: sample(model, prompts, drawing, config.group)

    draw(1)()  # warm
    two, four = _seconds(draw(2)), _seconds(draw(4))
    return four + max(0, longest - 4) * max(0.0, four - two) / 2


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
