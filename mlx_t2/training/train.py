"""The training loop: a generator of one report a step. Knows no display; whoever reads the
reports may stop.

Differs from the paper (arXiv:2501.06252, section 3.2) and from the reference: (4) G completions
a problem at temperature 1 instead of one greedy one, so there is something to compare; (5) z
starts at exactly 1, in float32, without the sigmoid and the renormalisation of the reference;
(6) the exact sampled ids are trained on, end token included, instead of the text tokenised
again; (7) problems whose completions all earn the same are dropped, and a step without signal
is skipped.
"""

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim

from mlx_t2.errors import CheckpointError, ConfigError
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel
from mlx_t2.sampling import (
    Rollout,
    SamplingConfig,
    completion_logprobs,
    held_out_accuracy,
    rollouts,
)
from mlx_t2.svf import Scales, check_trainable, ones
from mlx_t2.tasks import Task

from .advantages import leave_one_out
from .checkpoint import State, load_state, save_state
from .log import append_line, drop_after, write_atomically
from .reinforce import policy_loss


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How an expert is trained."""

    steps: int = 20
    """Updates."""
    prompts: int = 9
    """Problems a step."""
    group: int = 8
    """Completions a problem."""
    lr: float = 2e-3
    """Learning rate of Adam on z. 2e-3 is safe; 5e-3 and more are faster and sometimes fatal.
    """
    kl: float = 0.0
    """Weight of the KL penalty to the base model."""
    clip: float = 1.0
    """Longest gradient (global norm)."""
    temperature: float = 1.0
    """Of the sampled completions."""
    seed: int = 0
    """Of problems and completions."""
    eval_every: int = 5
    """Steps between greedy evaluations on the validation split."""
    validation: int = 120
    """Problems of each such evaluation."""
    test: int = 200
    """Problems of the test split answered before and after; 0 is none."""
    targets: str = "mlp"
    """Which layers wear scales: mlp, attention, all, or a regular expression."""
    rank: int | None = None
    """Singular values scaled a weight, largest first; all when None."""
    init: str | None = None
    """An expert file to start from instead of z = 1."""

    def __post_init__(self):
        for name in ("steps", "prompts", "eval_every", "validation"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)} came, expected 1 or more")
        if self.group < 2:
            raise ConfigError(
                f"group: {self.group} came, expected 2 or more: one completion has no baseline"
            )
        for name in ("lr", "clip", "temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name}: {getattr(self, name)} came, expected more than 0")
        if not 0 <= self.kl < math.inf or self.test < 0:
            raise ConfigError(
                f"kl and test: {self.kl} and {self.test} came, expected 0 or more"
            )


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one step did."""

    step: int
    steps: int
    reward: float
    """Mean over all sampled completions."""
    loss: float
    kl: float
    """Of the policy from the base, summed over a completion, mean over completions [nats]; 0
    when not asked for.
    """
    groups: int
    signal_groups: int
    """Problems whose completions earned different rewards."""
    truncated: int
    """Completions cut off by the limit."""
    is_skipped: bool
    """No problem carried a signal, so nothing was changed."""
    tokens: int
    """Sampled in this step."""
    change: float
    """Mean |z − 1|."""
    gradient_norm: float
    seconds: float
    validation: float | None
    """Greedy accuracy on the validation split, where this step measured it."""
    base_validation: float
    best_validation: float
    sample: dict[str, Any]
    """The first problem with its completions and rewards."""


def train(
    model: SVFModel,
    task: Task,
    config: TrainConfig,
    out: Path,
    resume: bool = False,
) -> Iterator[StepReport]:
    """Train an expert by REINFORCE; yields a report a step. The model must be decomposed as
    `config` says.

    out: the run folder: config.json, metrics.jsonl, samples.jsonl, checkpoint/,
    expert.safetensors (best on the validation split). Every step can be the last: with `resume`
    the run goes on from there to the same numbers.
    Raises: CheckpointError for a folder that cannot be written or resumed; ConfigError for a
    folder in use.
    """
    run = _Run(model, task, config, out)
    state = run.resumed() if resume else run.started()
    while state.step < config.steps:
        report, samples = run.step(state)
        run.record(report, samples, state)
        yield report
    run.finish(state)


class _Run:
    """One training: what stays the same over its steps."""

    def __init__(self, model: SVFModel, task: Task, config: TrainConfig, out: Path):
        if (model.targets, model.rank) != (config.targets, config.rank):
            raise ConfigError(
                f"targets and rank: the model is decomposed for {model.targets!r} and "
                f"{model.rank}, expected {config.targets!r} and {config.rank}"
            )
        check_trainable(model.network)
        self.model, self.task, self.config, self.out = model, task, config, out
        self.optimizer = optim.Adam(config.lr, betas=[0.9, 0.99], bias_correction=True)
        self.validation = task.problems("validation", config.validation)
        self.test = task.problems("test", config.test)

    # Start and resume

    def started(self) -> State:
        """A new run folder, and the state before the first step."""
        scales = self._initial_scales()  # refuses an expert before there is a folder
        self._open_folder()
        return self._beginning(scales)

    def _initial_scales(self) -> Scales:
        scales = ones(self.model.shapes)
        if self.config.init:
            expert = Expert.load(Path(self.config.init))
            fingerprint = self.model.fingerprint(expert.targets)
            expert.check(self.model.name, fingerprint, self.model.shapes)
            scales |= expert.scales
        return scales

    def _beginning(self, scales: Scales) -> State:
        self.optimizer.init(scales)
        with self.model.using({}):
            base = held_out_accuracy(self.model, self.task, self.validation)[0]
        best = self._validate(scales) if self.config.init else base
        return State(0, scales, self.optimizer.state, scales, best, base, 0)

    def _open_folder(self) -> None:
        if (self.out / "config.json").exists():
            raise ConfigError(
                f"{self.out}: holds a run already; resume it or name another folder"
            )
        try:
            (self.out / "checkpoint").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"{self.out}: cannot be made ({error}), expected a writable folder"
            ) from error
        text = json.dumps(self._settings(), indent=2) + "\n"
        write_atomically(self.out / "config.json", text)

    def _settings(self) -> dict[str, Any]:
        """What has to stay the same from the first step of a run to the last."""
        return {
            "model": self.model.name,
            "fingerprint": self.model.fingerprint(self.config.targets),
            "task": self.task.name,
        } | dataclasses.asdict(self.config)

    def _stored(self) -> dict[str, Any]:
        try:
            return json.loads((self.out / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def resumed(self) -> State:
        """The state of the last checkpoint, or the beginning where none was written yet."""
        stored = self._stored()
        changed = [k for k, v in self._settings().items() if stored and stored.get(k) != v]
        if changed:
            raise CheckpointError(
                f"{self.out}: a run with another {', '.join(changed)}, expected what its "
                "config.json has"
            )
        is_new = bool(stored) and not _checkpoint(self.out).exists()
        state = (
            self._beginning(self._initial_scales())
            if is_new
            else load_state(_checkpoint(self.out))
        )
        for name in ("metrics.jsonl", "samples.jsonl"):
            drop_after(self.out / name, state.step)
        self.optimizer.state = state.optimizer
        return state

    # One step

    def step(self, state: State) -> tuple[StepReport, list[Rollout]]:
        """Sample, grade, update `state`, and evaluate where it is time to."""
        start = time.perf_counter()
        state.step += 1
        seed = self.config.seed * 1_000_003 + state.step
        with self.model.using(state.scales):
            sampled = self._rollouts(seed)
        used = [rollout for rollout in sampled if len(set(rollout.rewards)) > 1]
        loss = kl = norm = 0.0
        if used:
            loss, kl, norm = self._update(state, used)
        state.skipped += not used
        validation = None
        if state.step % self.config.eval_every == 0 or state.step == self.config.steps:
            validation = self._validate(state.scales)
            if validation > state.best_validation:
                state.best, state.best_validation = dict(state.scales), validation
        completions = [c for rollout in sampled for c in rollout.completions]
        rewards = [reward for rollout in sampled for reward in rollout.rewards]
        report = StepReport(
            step=state.step,
            steps=self.config.steps,
            reward=sum(rewards) / len(rewards),
            loss=loss,
            kl=kl,
            groups=len(sampled),
            signal_groups=len(used),
            truncated=sum(not c.is_finished for c in completions),
            is_skipped=not used,
            tokens=sum(len(c.tokens) for c in completions),
            change=_mean_change(state.scales),
            gradient_norm=norm,
            seconds=time.perf_counter() - start,
            validation=validation,
            base_validation=state.base_validation,
            best_validation=state.best_validation,
            sample=_sample_entry(state.step, (used or sampled)[0]),
        )
        return report, sampled

    def _rollouts(self, seed: int) -> list[Rollout]:
        config = SamplingConfig(
            temperature=self.config.temperature, max_tokens=self.task.max_tokens, seed=seed
        )
        problems = self.task.step(self.config.prompts, seed)
        return rollouts(self.model, self.task, problems, self.config.group, config)

    def _update(self, state: State, used: list[Rollout]) -> tuple[float, float, float]:
        """One Adam step on the scales of `state`; returns loss, KL and the gradient's norm
        before clipping.
        """
        (loss, kl), gradient = mx.value_and_grad(self._loss)(state.scales, used)
        gradient, norm = optim.clip_grad_norm(gradient, self.config.clip)
        state.scales = self.optimizer.apply_gradients(gradient, state.scales)
        state.optimizer = self.optimizer.state
        mx.eval(
            state.scales, state.optimizer, loss, kl, norm
        )  # one step's graph must not grow into the next
        numbers: Any = mx.stack([loss, kl, norm]).tolist()
        return numbers[0], numbers[1], numbers[2]

    def _loss(self, scales: Scales, used: list[Rollout]) -> tuple[mx.array, mx.array]:
        prompts = [rollout.prompt for rollout in used]
        completions = [[c.tokens for c in rollout.completions] for rollout in used]
        with self.model.using(scales):
            logprobs = completion_logprobs(self.model, prompts, completions)
        reference = None
        if self.config.kl:
            with self.model.using({}):
                reference = completion_logprobs(self.model, prompts, completions)
        advantages = [
            advantage
            for rollout in used
            for advantage, c in zip(
                leave_one_out(rollout.rewards), rollout.completions, strict=True
            )
            for _ in c.tokens
        ]
        sequences = self.config.prompts * self.config.group
        return policy_loss(logprobs, reference, mx.array(advantages), sequences, self.config.kl)

    def _validate(self, scales: Scales) -> float:
        with self.model.using(scales):
            return held_out_accuracy(self.model, self.task, self.validation)[0]

    # Files

    def record(self, report: StepReport, sampled: list[Rollout], state: State) -> None:
        """Log lines first, then the checkpoint: what comes after the checkpoint is dropped on
        resume.
        """
        entry = dataclasses.asdict(report)
        del entry["sample"]
        append_line(self.out / "metrics.jsonl", entry)
        for rollout in sampled:
            append_line(self.out / "samples.jsonl", _sample_entry(report.step, rollout))
        save_state(_checkpoint(self.out), state)
        if report.validation is not None:
            self._save_expert(state, {})

    def finish(self, state: State) -> None:
        """Answer the test problems before and after, and write the expert with the result."""
        test = {}
        if self.test:
            with self.model.using({}):
                test["base_accuracy"] = held_out_accuracy(self.model, self.task, self.test)[0]
            with self.model.using(state.best):
                test["final_accuracy"] = held_out_accuracy(self.model, self.task, self.test)[0]
            test["n_eval"] = len(self.test)
        self._save_expert(state, test)

    def _save_expert(self, state: State, test: dict[str, float]) -> None:
        metrics = {
            "base_validation": state.base_validation,
            "best_validation": state.best_validation,
            "n_validation": self.config.validation,
            "steps": state.step,
            "skipped_steps": state.skipped,
        } | test
        Expert(
            name=self.task.domain,
            scales=state.best,
            base_model=self.model.name,
            base_fingerprint=self.model.fingerprint(self.config.targets),
            targets=self.config.targets,
            rank=str(self.config.rank or "full"),
            task=self.task.name,
            seed=self.config.seed,
            config=dataclasses.asdict(self.config) | {"prompt": list(self.task.prompt)},
            metrics=metrics,
        ).save(self.out / "expert.safetensors")


def _checkpoint(out: Path) -> Path:
    return out / "checkpoint" / "state.safetensors"


def _mean_change(scales: Scales) -> float:
    change: Any = mx.mean(mx.abs(mx.concatenate(list(scales.values())) - 1)).item()
    return change


def _sample_entry(step: int, rollout: Rollout) -> dict[str, Any]:
    return {
        "step": step,
        "problem": rollout.problem.id,
        "question": rollout.problem.messages[-1]["content"],
        "answer": rollout.problem.answer,
        "completions": [c.text for c in rollout.completions],
        "finished": [c.is_finished for c in rollout.completions],
        "rewards": list(rollout.rewards),
    }
