"""The training loop: a generator of one report a step. Knows no display; whoever reads the
reports may stop.

Differs from the paper (arXiv:2501.06252, section 3.2) and from the reference, unless mode paper
asks for theirs: (4) G completions a problem at temperature 1 instead of one greedy one, so
there is something to compare; (5) z starts at exactly 1, in float32, without the sigmoid and
the renormalisation of the reference; (6) the exact sampled ids are trained on, end token
included, instead of the text tokenised again; (7) problems whose completions all earn the same
are dropped, and a step without signal is skipped.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_t2.errors import CheckpointError, ConfigError
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel, limited_memory
from mlx_t2.sampling import held_out_accuracy
from mlx_t2.svf import Scales, check_trainable
from mlx_t2.tasks import Problem, Task

from .checkpoint import State, pack, unpack
from .config import MAY_CHANGE, TrainConfig
from .folder import RunFolder, as_entry
from .health import WINDOW, Signs, advice
from .learner import Learner
from .plan import Fit, TrainPlan, least, limit_bytes, plan_training
from .ranks import Ranks
from .report import StepReport, graded_entry, sample_line, signs_of


def train(
    model: SVFModel,
    task: Task,
    config: TrainConfig,
    out: Path,
    resume: bool = False,
) -> Iterator[StepReport]:
    """Train an expert by REINFORCE; yields a report a step. The model must be decomposed as
    `config` says.

    Under `mlx.launch`, every machine calls this alike; problems are split over them, and the
    first one alone writes files.

    out: the run folder: config.json, metrics.jsonl, samples.jsonl, checkpoint/,
        expert.safetensors (best on the validation split). Every step can be the last: with
        `resume` the run goes on from there to the same numbers.
    Raises: CheckpointError for a folder that cannot be written or resumed; ConfigError for a
    folder in use, settings that do not fit the model or the memory, or a loss that is no
    number any more: the last good step is kept.
    """
    run = _Run(model, task, config, out, resume)
    with limited_memory(), _allocation_told():
        state = run.resumed() if resume else run.started()
        while not run.is_over(state):
            report, samples = run.step(state)
            run.record(report, samples, state)
            yield report
            run.check_memory(report)
        run.finish(state)


@contextmanager
def _allocation_told() -> Iterator[None]:
    """Where MLX gets no memory, a ConfigError that says what to do."""
    try:
        yield
    except RuntimeError as error:
        if "malloc" not in str(error) and "allocate" not in str(error):
            raise
        raise ConfigError(
            f"memory: MLX got none ({error}). Every finished step is kept: go on with --resume "
            "and a smaller --memory-gb, which does less at once"
        ) from error


def plan(model: SVFModel, task: Task, config: TrainConfig) -> TrainPlan:
    """What `train` would take on this machine, measured; nothing is trained, nothing written.

    Raises: ConfigError where it does not fit.
    """
    learner = _Run(model, task, config, Path()).learner
    return plan_training(model, task, learner.objective, learner.form.initial, config)


_ANSWERED = 64
"""Held-out problems answered together, where memory allows it."""


class _Run:
    """One training: what stays the same over its steps."""

    def __init__(
        self, model: SVFModel, task: Task, config: TrainConfig, out: Path, resume: bool = False
    ):
        if (model.targets, model.rank) != (config.targets, config.rank):
            raise ConfigError(
                f"targets and rank: the model is decomposed for {model.targets!r} and "
                f"{model.rank}, expected {config.targets!r} and {config.rank}"
            )
        check_trainable(model.network)
        self.ranks = Ranks()
        if config.prompts < self.ranks.size:
            raise ConfigError(
                f"prompts: got {config.prompts}, expected one a machine or more, which are "
                f"{self.ranks.size}"
            )
        self.model, self.task, self.config, self.folder = model, task, config, RunFolder(out)
        self.has_checkpoint = resume and self.ranks.share(
            self._on_first(lambda: self.folder.has_checkpoint)
        )
        self.learner = Learner(model, task, config, self.ranks, self.has_checkpoint)
        self.faults: list[str] = []
        """Of checkpoints passed over, until they have been told."""
        self.validation = task.problems("validation", config.validation)
        self.test = task.problems("test", config.test)

    # Start and resume

    def started(self) -> State:
        """A new run folder, and the state before the first step."""
        self._on_first(self.folder.check_free)
        self.learner.fit()
        self._on_first(lambda: self.folder.open(self._settings()))
        return self._beginning()

    def _on_first(self, work: Callable[[], Any]) -> Any:
        """What rank 0 returns, there; where it fails, all do."""
        return self.ranks.together(lambda: work() if self.ranks.is_first else None)

    def _beginning(self) -> State:
        parameters = self.learner.form.initial
        self.learner.optimizer.init(parameters)
        start = self.learner.form.scales(parameters)
        base = self._accuracy({}, self.validation)
        is_base = self.config.parametrisation != "sigmoid" and not self.config.init
        best = base if is_base else self._accuracy(start, self.validation)
        return State(0, parameters, self.learner.optimizer.state, start, best, base)

    def _settings(self) -> dict[str, Any]:
        """What has to stay the same from the first step of a run to the last, and `fitted`."""
        return {
            "model": self.model.name,
            "fingerprint": self.model.fingerprint(self.config.targets),
            "task": self.task.name,
            "fitted": vars(self.learner.at_once),
        } | dataclasses.asdict(self.config)

    def resumed(self) -> State:
        """The state of the newest whole checkpoint, or the beginning where there is none."""
        stored = self.ranks.share(self._on_first(self._stored))
        self.learner.fit()
        if all(getattr(self.config, name) == stored[name] for name in MAY_CHANGE):
            # the same numbers as before, bit for bit, where this machine can do as much at once
            self.learner.at_once = least([self.learner.at_once, Fit(**stored["fitted"])])
        self._on_first(lambda: self.folder.write_settings(self._settings()))
        if self.has_checkpoint:
            return self._newest()
        self._on_first(lambda: self.folder.forget_after(0))
        return self._beginning()

    def _stored(self) -> dict[str, Any]:
        """The settings on disk, once it is sure that it is this run."""
        stored = self.folder.settings()
        settings = self._settings()
        del settings["fitted"]  # of the machine, not of the run
        self.folder.check_same(settings)
        if not _is_fit(stored.get("fitted")):
            raise CheckpointError(f"{self.folder.path}: config.json has no 'fitted' of a run")
        return stored

    def _newest(self) -> State:
        found = self._on_first(self.folder.newest)
        packed = b""
        if found is not None:
            state, self.faults = found
            packed = pack(state)
        state = unpack(self.ranks.broadcast(packed))
        self.learner.optimizer.state = state.optimizer
        return state

    # One step

    def is_over(self, state: State) -> bool:
        """All steps are done, or validation has stopped to improve."""
        patience = self.config.patience
        return state.step >= self.config.steps or (
            patience is not None and state.stale >= patience
        )

    def step(self, state: State) -> tuple[StepReport, list[dict]]:
        """Sample, grade, update `state`, and evaluate where it is time to; the report, and all
        groups as lines of samples.jsonl.
        """
        start = time.perf_counter()
        mx.reset_peak_memory()
        state.step += 1
        sampled = self.ranks.together(lambda: self.learner.sampled(state))
        mx.clear_cache()  # arrays of decoding's shapes: gradients want others
        groups, kl = self.learner.weighted(state, sampled, self._is_evaluated(state))
        sampling_seconds = time.perf_counter() - start
        mine = zip(sampled, groups, strict=True)
        entries = self.ranks.gather([graded_entry(self.task, *pair) for pair in mine])
        signal = [e for e in entries if e["has_signal"]]
        loss, norm = 0.0, 0.0
        if signal:
            loss, penalised, norm = self.learner.update(state, groups)
            kl = penalised if kl is None else kl
        state.skipped += not signal
        gradient_seconds = time.perf_counter() - start - sampling_seconds
        signs, scales = signs_of(entries), self.learner.scales(state)
        state.recent = [*state.recent, vars(signs)][-WINDOW:]
        validation = self._validated(state, scales)
        commonest, share = signs.commonest
        faults, self.faults = self.faults, []
        report = StepReport(
            step=state.step,
            steps=self.config.steps,
            reward=signs.reward,
            loss=loss,
            kl=kl,
            groups=len(entries),
            signal_groups=len(signal),
            truncated=sum(not is_finished for e in entries for is_finished in e["finished"]),
            is_skipped=not signal,
            tokens=sum(e["tokens"] for e in entries),
            entropy=signs.entropy,
            commonest=commonest,
            commonest_share=share,
            change=_mean_change(scales),
            gradient_norm=norm,
            seconds=time.perf_counter() - start,
            sampling_seconds=sampling_seconds,
            gradient_seconds=gradient_seconds,
            peak_gb=mx.get_peak_memory() / 1e9,
            validation=validation,
            base_validation=state.base_validation,
            best_validation=state.best_validation,
            warning="; ".join(faults) or advice([Signs(**one) for one in state.recent]),
            sample=sample_line(state.step, (signal or entries)[0]),
        )
        mx.clear_cache()  # the next step's shapes are others
        return report, [sample_line(state.step, e) for e in entries]

    def _is_evaluated(self, state: State) -> bool:
        return state.step % self.config.eval_every == 0 or state.step == self.config.steps

    def _validated(self, state: State, scales: Scales) -> float | None:
        if not self._is_evaluated(state):
            return None
        validation = self._accuracy(scales, self.validation)
        state.stale += 1
        if validation > state.best_validation:
            state.best, state.best_validation, state.stale = dict(scales), validation, 0
        return validation

    def _accuracy(self, scales: Scales, problems: Sequence[Problem]) -> float:
        """Greedy, over all machines."""

        def right() -> float:
            mine = self.ranks.mine(problems)
            if not mine:
                return 0.0
            batch = min(_ANSWERED, self.learner.at_once.decoded)
            with self.model.using(scales):
                return held_out_accuracy(self.model, self.task, mine, batch)[0] * len(mine)

        counts = self.ranks.gather_all(round(self.ranks.together(right)))
        return sum(counts) / len(problems)

    def check_memory(self, report: StepReport) -> None:
        """Raise ConfigError where the step took more than there is, on any machine."""
        limit = limit_bytes(self.config) / 1e9

        def check() -> None:
            if report.peak_gb > limit:
                raise ConfigError(
                    f"memory: step {report.step} took {report.peak_gb:.1f} GB at its peak, "
                    f"{limit:.1f} GB are there. It is kept: go on with --resume and fewer rows "
                    f"than {self.learner.at_once.rows} (--rows), or more memory (--memory-gb)"
                )

        self.ranks.together(check)

    # Files

    def record(self, report: StepReport, samples: list[dict], state: State) -> None:
        """Write what the step did."""

        def write() -> None:
            self.folder.record(as_entry(report), samples, state)
            if report.validation is not None:
                self._save_expert(state, {})

        self._on_first(write)

    def finish(self, state: State) -> None:
        """Answer the test problems before and after, and write the expert with the result."""
        test: dict[str, float] = {}
        if self.test:
            test["base_accuracy"] = self._accuracy({}, self.test)
            test["final_accuracy"] = self._accuracy(state.best, self.test)
            test["n_eval"] = len(self.test)
        self._on_first(lambda: self._save_expert(state, test))

    def _save_expert(self, state: State, test: dict[str, float]) -> None:
        metrics = {
            "base_validation": state.base_validation,
            "best_validation": state.best_validation,
            "n_validation": self.config.validation,
            "steps": state.step,
            "skipped_steps": state.skipped,
        } | test
        self.folder.save_expert(
            Expert(
                name=self.task.domain,
                scales=state.best,
                base_model=self.model.name,
                base_fingerprint=self.model.fingerprint(self.config.targets),
                targets=self.config.targets,
                rank=self.config.rank,
                task=self.task.name,
                seed=self.config.seed,
                config=dataclasses.asdict(self.config) | {"prompt": list(self.task.prompt)},
                metrics=metrics,
            )
        )


def _is_fit(stored: Any) -> bool:
    names = {field.name for field in dataclasses.fields(Fit)}
    return (
        isinstance(stored, dict)
        and stored.keys() == names
        and all(isinstance(number, int) for number in stored.values())
    )


def _mean_change(scales: Scales) -> float:
    flat = mx.concatenate([z.reshape(-1) for z in scales.values()])
    change: Any = mx.mean(mx.abs(flat - 1)).item()
    return change
