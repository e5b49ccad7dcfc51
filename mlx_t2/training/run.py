"""One training run: what its steps share, how it begins and how it ends.

Knows the run's model, task, settings, machines and folder; does not know what a step does.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_t2 import blas
from mlx_t2.errors import CheckpointError, ConfigError, TrainingError
from mlx_t2.experts import Expert, name_of
from mlx_t2.models import SVFModel
from mlx_t2.sampling import count_right
from mlx_t2.svf import Scales
from mlx_t2.tasks import Problem, Task, describe_task, example_questions, shared_options

from .checkpoint import State, pack, unpack
from .config import MOVE_WORK, TrainConfig
from .gradient import Objective
from .learner import Learner, check_model, parametrise, start_scales
from .phase import Phase, Watched
from .probe import watch_probe
from .ranks import Ranks
from .row_limits import RowLimits, find_row_limits, limit_bytes, smallest
from .run_folder import RunFolder
from .step_report import StepReport

_ANSWERED = 64
"""Held-out problems answered at a time, where memory allows it."""

_MOST_THREADS = 1024
"""More than any machine has: a number of threads that a run can have had."""


@dataclass(frozen=True)
class Run:
    """The model, the task, the settings, the machines and the files of one training."""

    model: SVFModel
    task: Task
    config: TrainConfig
    ranks: Ranks
    folder: RunFolder
    learner: Learner
    validation: Sequence[Problem]
    test: Sequence[Problem]
    threads: Sequence[int]
    """BLAS's, on each machine: with another number, sums are rounded otherwise."""
    model_name: str
    """What the model was called when the run began."""
    signal: dict[str, Any] | None = None
    """What there was to learn, see `probe`; None where that was not measured."""

    def settings(self) -> dict[str, Any]:
        """What config.json keeps."""
        return _identity(self.model, self.task, self.config) | {
            "model": self.model_name,
            "fitted": vars(self.learner.limits),
            "blas_threads": list(self.threads),
            "form": "live",
            "signal": self.signal,
        }

    def first_state(self) -> Watched[State]:
        """The state before the first step."""
        parameters = self.learner.objective.parametrisation.initial
        optimizer = self.learner.optimizer.initial(parameters)
        scales = self.learner.scales(parameters)
        base = yield from self.accuracy({}, self.validation, Phase("validation before"))
        is_base = self.config.parametrisation != "sigmoid" and not self.config.init
        start = Phase("validation of the start")
        best = base if is_base else (yield from self.accuracy(scales, self.validation, start))
        return State(0, parameters, optimizer, scales, best, base)

    def is_over(self, state: State) -> bool:
        """Whether all steps are done, or validation has stopped improving."""
        patience = self.config.patience
        return state.step >= self.config.steps or (
            patience is not None and state.stale >= patience
        )

    def is_evaluation(self, step: int) -> bool:
        """Whether that step ends with a look at the validation problems."""
        return step % self.config.eval_every == 0 or step == self.config.steps

    def accuracy(
        self, scales: Scales, problems: Sequence[Problem], phase: Phase
    ) -> Watched[float]:
        """The share of problems answered rightly by greedy decoding."""
        phase = dataclasses.replace(phase, total=len(problems))
        counted = self._count_right(scales, self.ranks.mine(problems), phase)
        right = yield from self.ranks.watch_on_all(counted)
        return self.ranks.total(right) / len(problems)

    def _count_right(
        self, scales: Scales, problems: Sequence[Problem], phase: Phase
    ) -> Watched[int]:
        batch, right = min(_ANSWERED, self.learner.limits.decoded), 0
        with self.model.using(scales, acts_on=self.config.acts_on):
            for start in range(0, len(problems), batch):
                done = min(phase.total, start * self.ranks.size)
                yield dataclasses.replace(phase, done=done)
                right += count_right(self.model, self.task, problems[start : start + batch])
        yield dataclasses.replace(phase, done=phase.total)
        return right

    def check_memory(self, report: StepReport) -> None:
        """Raise TrainingError where the step took more than there is, on any machine."""
        self.ranks.on_all(self._check_memory, report)

    def _check_memory(self, report: StepReport) -> None:
        limit = limit_bytes(self.config) / 1e9
        if report.peak_gb > limit:
            raise TrainingError(
                f"memory: step {report.step} took {report.peak_gb:.1f} GB at its peak, "
                f"{limit:.1f} GB are available. It is kept: go on with --resume and fewer rows "
                f"than {self.learner.limits.rows} (--rows), or more memory (--memory-gb)"
            )

    def record(self, report: StepReport, samples: list[dict], state: State) -> None:
        """Write what the step did."""
        self.ranks.on_first(self.folder.record, report.entry(), samples, state)
        if report.validation is not None:
            self.ranks.on_first(self._save_expert, state, {})

    def finish(self, state: State) -> Watched[None]:
        """Answer the test problems before and after, and write the expert with the result."""
        result: dict[str, float] = {}
        if self.test:
            before, after = Phase("test before"), Phase("test after")
            result["base_accuracy"] = yield from self.accuracy({}, self.test, before)
            result["final_accuracy"] = yield from self.accuracy(state.best, self.test, after)
            result["n_eval"] = len(self.test)
        self.ranks.on_first(self._save_expert, state, result)

    def _save_expert(self, state: State, result: dict[str, float]) -> None:
        metrics = {
            "base_validation": state.base_validation,
            "best_validation": state.best_validation,
            "n_validation": self.config.validation,
            "steps": state.step,
            "skipped_steps": state.skipped,
        }
        metrics |= {"signal": self.signal} if self.signal else {}
        longest = max(z.shape[-1] for z in state.best.values())
        is_full = self.config.rank is None or self.config.rank > longest
        options = shared_options(self.task, self.config.seed)
        init = self.config.init and name_of(Path(self.config.init))  # paths are the maker's own
        expert = Expert(
            name=self.task.domain,
            scales=state.best,
            base_model=self.model_name,
            base_fingerprint=self.model.fingerprint(self.config.targets),
            targets=self.config.targets,
            rank=None if is_full else self.config.rank,
            task=self.task.name,
            seed=self.config.seed,
            config=dataclasses.asdict(self.config)
            | {"init": init, "prompt": list(self.task.prompt), "source": self.task.source}
            | ({"task_file": self.task.file} if self.task.file else {})
            | ({"options": list(options)} if options else {}),
            metrics=metrics | result,
            acts_on=self.config.acts_on,
            description=describe_task(self.task),
            examples=example_questions(self.task, self.config.seed),
        )
        self.folder.save_expert(expert)


def start_run(
    model: SVFModel, task: Task, config: TrainConfig, folder: RunFolder
) -> Watched[tuple[Run, State, list[str]]]:
    """A new run in a new folder, the state before its first step, and what is worth a note.

    Raises: CheckpointError where a run is in the folder.
    """
    ranks = _check(model, config)
    ranks.on_first(folder.check_free)
    start = start_scales(model, config)
    run = yield from _make_run(model, task, config, ranks, folder, start, model.name)
    if config.probe:
        limits = run.learner.limits
        signal = yield from watch_probe(model, start, task, config, ranks, limits)
        run = dataclasses.replace(run, signal=signal.to_json())
    notes = ranks.on_first(folder.open, run.settings())
    return run, (yield from run.first_state()), notes or []


def resume_run(
    model: SVFModel, task: Task, config: TrainConfig, folder: RunFolder
) -> Watched[tuple[Run, State, list[str]]]:
    """The run in that folder; the state of its newest whole checkpoint, or before the first
    step, where there is none; and what is worth a note: what is wrong with newer checkpoints or
    in the logs.

    Raises: CheckpointError for a folder without a run, with another one, with one that another
    process trains, or with checkpoints that are all damaged.
    """
    ranks = _check(model, config)
    stored = ranks.from_first(folder.read_same, _identity(model, task, config))
    notes = ranks.on_first(folder.hold) or []
    notes += _take_threads(ranks, stored)
    found = _read_newest(ranks, folder) if ranks.from_first(folder.has_checkpoint) else None
    if found:
        _check_state(found[0], model, config, folder)
    start = {} if found else start_scales(model, config)
    former = _former_limits(folder, config, stored)
    name = str(stored.get("model", model.name))
    run = yield from _make_run(model, task, config, ranks, folder, start, name, former)
    signal = stored.get("signal")
    run = dataclasses.replace(run, signal=signal if isinstance(signal, dict) else None)
    state, faults = found or ((yield from run.first_state()), [])
    notes += faults + _describe_extension(stored, config, state)
    if state.step < config.steps != stored.get("steps") and run.is_over(state):
        raise CheckpointError(
            f"{folder.path}: it ended at step {state.step} by patience={config.patience}, "
            f"expected more patience to go on to step {config.steps} (--patience)"
        )
    if not run.is_over(state):
        notes += ranks.on_first(folder.forget_after, state.step) or []
    ranks.on_first(folder.write_settings, run.settings())
    return run, state, notes


def _check_state(state: State, model: SVFModel, config: TrainConfig, folder: RunFolder) -> None:
    """Raise CheckpointError where the checkpoint is of other layers, or further on than the
    settings go.
    """
    if {path: z.shape for path, z in state.best.items()} != model.shapes:
        raise CheckpointError(
            f"{folder.path}: its newest checkpoint is not of this run: its layers are others"
        )
    if state.step > config.steps:
        raise CheckpointError(
            f"{folder.path}: got steps={config.steps}, but {state.step} are done, expected as "
            "many or more. A shorter run begins anew, in another folder (--out)"
        )


def _describe_extension(stored: dict[str, Any], config: TrainConfig, state: State) -> list[str]:
    """What a run that goes on for more steps than it began with has to know."""
    if stored.get("steps") == config.steps or config.schedule == "constant" or not state.step:
        return []
    return [
        f"schedule {config.schedule}: the learning rate now falls over {config.steps} steps, "
        f"not {stored.get('steps')}, so it jumps after step {state.step}, and the run is not "
        f"that of {config.steps} steps from the start"
    ]


def _check(model: SVFModel, config: TrainConfig) -> Ranks:
    """The machines, once model and machines suit the settings."""
    check_model(model, config)
    ranks = Ranks()
    if config.prompts < ranks.size:
        raise ConfigError(
            f"prompts: got {config.prompts}, expected one per machine or more, which are "
            f"{ranks.size}"
        )
    return ranks


def _make_run(
    model: SVFModel,
    task: Task,
    config: TrainConfig,
    ranks: Ranks,
    folder: RunFolder,
    start: Scales,
    name: str,
    former: Sequence[RowLimits] = (),
) -> Watched[Run]:
    """Measure how much is done at once: on all machines what the smallest can take, and what a
    former start of the run took.
    """
    parametrisation = parametrise(model, config, start)
    objective = Objective(model, parametrisation, config)
    found = yield from ranks.watch_on_all(
        find_row_limits(model, task, objective, parametrisation.initial, config)
    )
    everywhere = [RowLimits(**one) for one in ranks.gather_all(vars(found))]
    limits = smallest([*everywhere, *former])
    learner = Learner(model, task, config, ranks, objective, limits)
    validation = task.problems("validation", config.validation)
    test = task.problems("test", config.test)
    threads = ranks.gather_all(blas.current_threads())
    return Run(model, task, config, ranks, folder, learner, validation, test, threads, name)


def _take_threads(ranks: Ranks, stored: dict[str, Any]) -> list[str]:
    """Multiply with as many threads as the run did before, unless the environment says
    otherwise; what that may change.
    """
    former = stored.get("blas_threads")
    chosen = blas.choose_threads(0.01)
    if not isinstance(former, list) or ranks.rank >= len(former):
        return []
    before = former[ranks.rank]
    if not isinstance(before, int) or not 0 < before <= _MOST_THREADS:
        return []
    if not chosen.is_asked:
        blas.set_threads(before)
    elif chosen.count != before:
        return [f"{chosen.why}, the run had {before}: numbers may be rounded otherwise"]
    return []


def _identity(model: SVFModel, task: Task, config: TrainConfig) -> dict[str, Any]:
    """What has to stay the same from the first step of a run to the last."""
    of_model = {"model": model.name, "fingerprint": model.fingerprint(config.targets)}
    of_task = {"task": task.name, "source": task.source, "rule": task.rule}
    return of_model | of_task | dataclasses.asdict(config)


def _former_limits(
    folder: RunFolder, config: TrainConfig, stored: dict[str, Any]
) -> list[RowLimits]:
    """The limits before the run was stopped: with them it goes on to the same numbers, bit for
    bit. None where the settings ask for others.
    """
    fitted, names = stored.get("fitted"), {f.name for f in dataclasses.fields(RowLimits)}
    if (
        not isinstance(fitted, dict)
        or fitted.keys() != names
        or not all(type(number) is int and number > 0 for number in fitted.values())
    ):
        raise CheckpointError(f"{folder.path}: config.json has no 'fitted' of a run")
    is_changed = any(getattr(config, name) != stored.get(name) for name in MOVE_WORK)
    return [] if is_changed else [RowLimits(**fitted)]


def _read_newest(ranks: Ranks, folder: RunFolder) -> tuple[State, list[str]]:
    """The newest whole checkpoint of the first machine, on all."""
    found = ranks.on_first(folder.newest)
    packed, faults = (pack(found[0]), found[1]) if found is not None else (b"", [])
    return unpack(ranks.broadcast(packed)), faults
