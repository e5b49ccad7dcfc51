"""What a training will take on this machine: memory by part, time a step, and how many
completions fit in one gradient pass.

Measured on the model itself by a few passes over a few tokens, which fit wherever the model
does. Memory is taken to grow in proportion to tokens; attention's own scores grow faster, which
the margin covers up to some thousand tokens. Knows models and settings; writes nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel, memory_bytes
from mlx_t2.sampling import SamplingConfig, sample
from mlx_t2.svf import Scales
from mlx_t2.tasks import Task

from .config import TrainConfig
from .gradient import Objective, Weighted

_MARGIN = 1.25
"""Of what is measured on few tokens."""
_FEW, _MORE = 8, 24
"""Tokens of the passes that are measured."""


@dataclass(frozen=True)
class Costs:
    """Memory of a gradient pass [bytes]."""

    fixed: float
    prompt_token: float
    """Of each prompt in the pass."""
    completion_token: float
    copied_token: float
    """A token of the prompt, once more for every completion of it."""
    scores: float
    """Of the next token of a row that is decoded: logits, and what drawing makes of them."""

    def of(self, rows: int, group: int, prompt: int, completion: int) -> float:
        """Of a pass over so many completions in groups of `group`."""
        prompts = -(-rows // group) * prompt * self.prompt_token
        each = completion * self.completion_token + prompt * self.copied_token
        return _MARGIN * (self.fixed + prompts + rows * each)


@dataclass(frozen=True)
class TrainPlan:
    """What a training takes; bytes and seconds."""

    weights: int
    bases: int
    trained: int
    """Parameters, gradient, optimiser, best: a few numbers a singular value."""
    sampling: int
    """Keys, values and scores of the completions that are decoded together."""
    gradient: int
    """Of a pass over `rows` completions."""
    limit: int
    rows: int
    """Completions in one gradient pass."""
    decoded: int
    """Completions decoded together."""
    completions: int
    """A step."""
    step_seconds: float
    """Where every completion is as long as may be and every problem carries a signal."""
    total_seconds: float
    """Of all steps with their evaluations, likewise."""


@dataclass(frozen=True)
class Fit:
    """How much work is done at once."""

    rows: int
    """Completions in one gradient pass."""
    decoded: int
    """Completions decoded together; the others wait."""


def fit(
    model: SVFModel, task: Task, objective: Objective, parameters: Scales, config: TrainConfig
) -> Fit:
    """What the settings say, or as much as there is memory for.

    Raises: ConfigError where not even one completion fits.
    """
    return _fitted(model, task, measured_costs(model, objective, parameters), config)[0]


def least(fits: Sequence[Fit]) -> Fit:
    """What fits wherever each of these does."""
    return Fit(min(f.rows for f in fits), min(f.decoded for f in fits))


def _fitted(
    model: SVFModel, task: Task, costs: Costs, config: TrainConfig
) -> tuple[Fit, int, int]:
    """What is done at once, bytes of such a gradient pass, bytes that there are."""
    mx.eval(model.network.parameters())
    limit, held = limit_bytes(config), mx.get_active_memory()
    prompt = _longest_prompt(model, task, config)

    def needed(rows: int) -> float:
        return costs.of(rows, config.group, prompt, task.max_tokens)

    least_rows = config.rows or 1
    if held + needed(least_rows) > limit:
        raise ConfigError(
            f"memory: {held / 1e9:.1f} GB for the model and {needed(least_rows) / 1e9:.1f} GB "
            f"for {least_rows} completion(s) of {task.max_tokens} tokens at once, "
            f"there are {limit / 1e9:.1f} GB. Take a quantised or smaller model, fewer "
            "--targets, a lower --rank, --checkpointing, or fewer --rows"
        )
    most = config.prompts * config.group
    rows = next(k for k in range(most, 0, -1) if k == 1 or held + needed(k) <= limit)
    rows = rows // config.group * config.group if rows >= config.group else rows
    rows = config.rows or rows
    row = _MARGIN * ((prompt + task.max_tokens) * costs.copied_token + costs.scores)
    decoded = max(1, min(most, int((limit - held) / max(row, 1))))
    return Fit(rows, decoded), int(needed(rows)), limit


def _longest_prompt(model: SVFModel, task: Task, config: TrainConfig) -> int:
    """Of some steps at the beginning and at the end of a training, whose prompts may differ."""
    problems = [
        problem
        for progress in (0.0, 1 - 1e-9)
        for step in (1, 2)
        for problem in task.step(config.prompts, config.seed + step, config.balanced, progress)
    ]
    return max(len(model.encode(problem.messages)) for problem in problems)


def limit_bytes(config: TrainConfig) -> int:
    """The most that a run may fill."""
    return memory_bytes() if config.memory_gb is None else int(config.memory_gb * 1e9)


def measured_costs(model: SVFModel, objective: Objective, parameters: Scales) -> Costs:
    """Four gradient passes over a few tokens each, and what each of them took at its peak."""

    def peak(prompt: int, completion: int, rows: int) -> float:
        tokens = (1,) * completion
        group = Weighted((1,) * prompt, (tokens,) * rows, (1.0,) * rows)
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        objective.gradient(parameters, [group], rows)
        return mx.get_peak_memory() - before

    peak(_FEW, _FEW, 1)  # whatever is made once is made here
    least = peak(_FEW, _FEW, 1)
    completion = max(0.0, peak(_FEW, _MORE, 1) - least) / (_MORE - _FEW)
    long = peak(_MORE, _FEW, 1)
    prompt = max(0.0, long - least) / (_MORE - _FEW)
    copied = max(0.0, peak(_MORE, _FEW, 2) - long - _FEW * completion) / _MORE
    fixed = max(0.0, least - _FEW * (completion + prompt))
    vocabulary = model.logits_at(mx.array([[1]]), None, mx.array([0])).shape[-1]
    return Costs(fixed, prompt, completion, copied, scores=4 * 4 * vocabulary)


def plan_training(
    model: SVFModel, task: Task, objective: Objective, parameters: Scales, config: TrainConfig
) -> TrainPlan:
    """Measure, and tell what the whole would take. Nothing is trained, nothing written.

    Raises: ConfigError where it does not fit.
    """
    costs = measured_costs(model, objective, parameters)
    found, pass_bytes, limit = _fitted(model, task, costs, config)
    completions = config.prompts * config.group
    prompts = [model.encode(p.messages) for p in task.step(config.prompts, config.seed)]
    sampling = _sampling_seconds(model, prompts, task.max_tokens, config, found.decoded)
    copies = min(found.rows, config.group)
    one = Weighted(tuple(prompts[0]), ((1,) * task.max_tokens,) * copies, (1.0,) * copies)
    objective.gradient(parameters, [one], copies)  # warm
    gradient = _seconds(lambda: objective.gradient(parameters, [one], copies))
    step = sampling + gradient * completions / len(one.completions)
    evaluations = (config.steps // config.eval_every + 1) * config.validation + 2 * config.test
    numbers = sum(array.nbytes for array in parameters.values())
    flat: Any = tree_flatten(model.network.parameters())
    weights = sum(array.nbytes for _, array in flat)
    return TrainPlan(
        weights=weights,
        bases=model.basis_bytes,
        trained=5 * numbers,
        sampling=int(
            found.decoded
            * ((len(prompts[0]) + task.max_tokens) * costs.copied_token + costs.scores)
        ),
        gradient=pass_bytes,
        limit=limit,
        rows=found.rows,
        decoded=found.decoded,
        completions=completions,
        step_seconds=step,
        total_seconds=config.steps * step + sampling * evaluations / completions,
    )


def _sampling_seconds(
    model: SVFModel,
    prompts: list[list[int]],
    longest: int,
    config: TrainConfig,
    max_rows: int,
) -> float:
    """Of a step's completions, from the time for two tokens and for four."""

    def sampled(tokens: int) -> Callable[[], Any]:
        drawing = SamplingConfig(
            temperature=config.temperature, max_tokens=tokens, max_rows=max_rows
        )
        return lambda: sample(model, prompts, drawing, config.group)

    sampled(1)()  # warm
    two, four = _seconds(sampled(2)), _seconds(sampled(4))
    return four + max(0, longest - 4) * max(0.0, four - two) / 2


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
