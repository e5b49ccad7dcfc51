"""The training loop: a generator of one report per step, or of all that happens. Knows no
display; whoever reads the reports may stop.

Departures from the paper (arXiv:2501.06252, section 3.2) and from the reference; mode paper
undoes the first and the last:

Differs (4): G completions per problem at temperature 1 instead of one greedy one, so there is
something to compare.
Differs (6): the exact sampled ids are trained on, end token included, instead of the text
tokenised again.
Differs (7): problems whose completions all earn the same are dropped, and a step without a
signal is skipped.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_t2 import blas
from mlx_t2.errors import T2Error, TrainingError
from mlx_t2.models import SVFModel, limited_memory
from mlx_t2.svf import Scales
from mlx_t2.tasks import Task

from .checkpoint import State
from .collapse import WINDOW, Signs, advise
from .config import TrainConfig
from .gradient import AdvantageGroup
from .learner import Update, check_task
from .phase import Phase, Watched
from .run import Run, resume_run, start_run
from .run_folder import RunFolder
from .step_report import GradedGroup, StepReport, describe_group, find_signs

_WATCHED = 0.5
"""Seconds in which other programs are watched before the number of threads is settled."""


def train(
    model: SVFModel,
    task: Task,
    config: TrainConfig,
    out: Path,
    resume: bool = False,
) -> Iterator[StepReport]:
    """Train an expert by REINFORCE; yields a report per step. The model must be decomposed as
    `config` says.

    Under `mlx.launch`, every machine calls this alike; problems are split over them, and the
    first one alone writes files.

    out: the run folder: config.json, metrics.jsonl, samples.jsonl, checkpoint/,
        expert.safetensors (best on the validation split). Every step can be the last: with
        `resume` the run goes on from there to the same numbers.
    Raises: CheckpointError for a folder that is in use or cannot be resumed; FileError for one
    that cannot be written; ConfigError for settings that do not fit the model; TrainingError
    where the loss is NaN or infinite, or memory is short: the last good step is kept.
    """
    with closing(watch_training(model, task, config, out, resume)) as events:
        for event in events:
            if isinstance(event, StepReport):
                yield event


def watch_training(
    model: SVFModel,
    task: Task,
    config: TrainConfig,
    out: Path,
    resume: bool = False,
) -> Generator[Phase | StepReport, None, None]:
    """`train`, for whoever wants to see more: beside the report of each step, a `Phase` where a
    part of the work begins and wherever it has got on.
    """
    check_task(task, config)  # before anything is measured
    threads = blas.threads(blas.choose_threads(_WATCHED).count)
    with limited_memory(), threads, _allocation_errors(), RunFolder(out) as folder:
        prepare = resume_run if resume else start_run
        run, state, notes = yield from prepare(model, task, config, folder)
        while not run.is_over(state):
            step = yield from take_step(run, state)
            state, report = step.state, step.report
            run.record(report, [group.line(state.step) for group in step.groups], state)
            if notes:  # shown, not kept: the logs are those of an undisturbed run
                warning = "; ".join([*notes, *filter(None, [report.warning])])
                report, notes = replace(report, warning=warning), []
            yield report
            run.check_memory(report)
        yield from run.finish(state)


@contextmanager
def _allocation_errors() -> Iterator[None]:
    """Where MLX gets no memory, a TrainingError that says what to do."""
    try:
        yield
    except RuntimeError as error:
        is_allocation = "malloc" in str(error) or "allocate" in str(error)
        if isinstance(error, T2Error) or not is_allocation:
            raise
        raise TrainingError(
            f"memory: MLX got none ({error}). Every finished step is kept: go on with --resume "
            "and a smaller --memory-gb, which does less at once"
        ) from error


@dataclass(frozen=True)
class Step:
    """A step that is done."""

    state: State
    """What the next step depends on."""
    report: StepReport
    groups: list[GradedGroup]
    """The problems of all machines with their completions."""


@dataclass(frozen=True)
class _Drawn:
    """The graded completions of a step."""

    mine: list[AdvantageGroup]
    """This machine's problems."""
    groups: list[GradedGroup]
    """All machines' problems."""
    signs: Signs
    kl: float | None
    """See `StepReport`."""


@dataclass(frozen=True)
class _Clock:
    """When the parts of a step began [s]."""

    sampling: float
    gradient: float
    evaluation: float


def take_step(run: Run, state: State) -> Watched[Step]:
    """Sample, grade, update, and evaluate where it is time to."""
    began = time.perf_counter()
    mx.reset_peak_memory()
    number = state.step + 1
    yield Phase("sampling", step=number)
    drawn = _draw(run, state)
    drawn_at = time.perf_counter()
    update = (
        (yield from run.learner.update(state, drawn.mine))
        if drawn.signs.signal_groups
        else Update(state.parameters, state.optimizer, loss=0.0, norm=0.0)
    )
    run.learner.objective.readings.clear()  # the next step's prompts are others
    clock = _Clock(began, drawn_at, time.perf_counter())
    scales = run.learner.scales(update.parameters)
    validation = None
    if run.is_evaluation(number):
        phase = Phase("validation", step=number)
        validation = yield from run.accuracy(scales, run.validation, phase)
    after = _advance(state, update, scales, drawn.signs, validation)
    report = _report(run, after, drawn, update, _mean_change(scales), validation, clock)
    mx.clear_cache()  # the next step's shapes are others
    return Step(after, report, drawn.groups)


def _draw(run: Run, state: State) -> _Drawn:
    learner = run.learner
    sampled = learner.sample(state)
    mx.clear_cache()  # arrays of decoding's shapes: gradients want others
    kl = learner.measure_kl(state, sampled) if run.is_evaluation(state.step + 1) else None
    mine = learner.assign_advantages(state, sampled)
    described = [
        asdict(describe_group(run.task, rollout, group, run.config.temperature or 1.0))
        for rollout, group in zip(sampled, mine, strict=True)
    ]
    groups = [GradedGroup(**one) for one in run.ranks.gather(described)]
    return _Drawn(mine, groups, find_signs(groups), kl)


def _advance(
    state: State, update: Update, scales: Scales, signs: Signs, validation: float | None
) -> State:
    """The state after a step: the only place where one is made of another."""
    after = replace(
        state,
        step=state.step + 1,
        parameters=update.parameters,
        optimizer=update.optimizer,
        skipped=state.skipped + (signs.signal_groups == 0),
        recent=[*state.recent, vars(signs)][-WINDOW:],
    )
    if validation is None:
        return after
    if validation > state.best_validation:
        return replace(after, best=scales, best_validation=validation, stale=0)
    return replace(after, stale=state.stale + 1)


def _report(
    run: Run,
    state: State,
    drawn: _Drawn,
    update: Update,
    change: float,
    validation: float | None,
    clock: _Clock,
) -> StepReport:
    groups, signs = drawn.groups, drawn.signs
    commonest, share = signs.commonest
    return StepReport(
        step=state.step,
        steps=run.config.steps,
        reward=signs.reward,
        loss=update.loss,
        kl=drawn.kl,
        groups=signs.groups,
        signal_groups=signs.signal_groups,
        truncated=sum(group.finished.count(False) for group in groups),
        is_skipped=signs.signal_groups == 0,
        tokens=sum(group.tokens for group in groups),
        entropy=signs.entropy,
        commonest=commonest,
        commonest_share=share,
        change=change,
        gradient_norm=update.norm,
        seconds=time.perf_counter() - clock.sampling,
        sampling_seconds=clock.gradient - clock.sampling,
        gradient_seconds=clock.evaluation - clock.gradient,
        peak_gb=mx.get_peak_memory() / 1e9,
        validation=validation,
        base_validation=state.base_validation,
        best_validation=state.best_validation,
        warning=advise([Signs(**one) for one in state.recent]),
        example=next((g for g in groups if g.has_signal), groups[0]).line(state.step),
    )


def _mean_change(scales: Scales) -> float:
    flat = mx.concatenate([z.reshape(-1) for z in scales.values()])
    change: Any = mx.mean(mx.abs(flat - 1)).item()
    return change
