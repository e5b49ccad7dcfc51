"""How many completions fit in one gradient pass and are decoded at a time.

Measured on the model itself by a few passes over a few tokens, which fit wherever the model
does. Memory is taken to grow in proportion to tokens; attention's own scores grow faster, which
the margin covers up to some thousand tokens. Knows models and settings; writes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import mlx.core as mx

from mlx_t2.errors import TrainingError
from mlx_t2.models import SVFModel, memory_bytes
from mlx_t2.sampling import encode_options
from mlx_t2.svf import Arrays
from mlx_t2.tasks import Task

from .config import TrainConfig
from .gradient import AdvantageGroup, Objective
from .phase import Phase, Watched
from .sampling_form import choose_sampling_form

_MARGIN = 1.25
"""Factor on what is measured on few tokens."""
_FEW, _MORE = 8, 24
"""Tokens of the passes that are measured."""
_SHORT, _LONG, _COPIES = 32, 96, 8
"""Tokens of prompts that are read without a gradient, and completions of one: less of them
takes so little that the peak is elsewhere.
"""


@dataclass(frozen=True)
class RowLimits:
    """How much work is done at once."""

    rows: int
    """Completions in one gradient pass."""
    decoded: int
    """Completions decoded at a time; the others wait."""


@dataclass(frozen=True)
class Costs:
    """Memory [bytes]."""

    fixed: float
    """A gradient pass, whatever is in it."""
    prompt_token: float
    """Per token of each prompt in the pass."""
    completion_token: float
    """Per token of each completion in the pass."""
    copied_token: float
    """Per token of the prompt, again for each of its completions."""
    scores: float
    """Per row that is decoded: logits, and what drawing makes of them."""

    def pass_bytes(self, rows: int, group: int, prompt: int, completion: int) -> float:
        """A gradient pass over `rows` completions in groups of `group`; lengths in tokens."""
        prompts = -(-rows // group) * prompt * self.prompt_token
        each = completion * self.completion_token + prompt * self.copied_token
        return _MARGIN * (self.fixed + prompts + rows * each)

    def kept_bytes(self, prompts: int, tokens: int) -> float:
        """Prompts of that many tokens, as sampling leaves them to the gradient."""
        return _MARGIN * prompts * tokens * self.copied_token

    def row_bytes(self, tokens: int, scored: int = 1) -> float:
        """A row of that many tokens while it is decoded; `scored` of them have scores at a
        time.
        """
        return tokens * self.copied_token + scored * self.scores


@dataclass(frozen=True)
class MemoryPlan:
    """What is done at once, and the memory it takes [bytes]."""

    limits: RowLimits
    pass_bytes: int
    """A gradient pass over `limits.rows` completions."""
    decode_bytes: int
    """Keys, values and scores of `limits.decoded` completions."""
    limit_bytes: int
    """All that the run may fill."""


def find_row_limits(
    model: SVFModel, task: Task, objective: Objective, parameters: Arrays, config: TrainConfig
) -> Watched[RowLimits]:
    """What the settings say, or as much as there is memory for.

    Raises: TrainingError where not even one completion fits.
    """
    costs = yield from measure_costs(model, objective, parameters)
    return plan_memory(model, task, costs, config).limits


def smallest(limits: Sequence[RowLimits]) -> RowLimits:
    """What fits wherever each of these does."""
    return RowLimits(min(one.rows for one in limits), min(one.decoded for one in limits))


def plan_memory(model: SVFModel, task: Task, costs: Costs, config: TrainConfig) -> MemoryPlan:
    """Divide the memory that there is beside the model.

    Raises: TrainingError where not even one completion fits.
    """
    mx.eval(model.network.parameters())
    form = choose_sampling_form(model, task, config, task.step(config.prompts, config.seed))
    limit, held = limit_bytes(config), mx.get_active_memory() + form.bytes
    largest = find_largest(model, task, config)
    group, prompt, completion = largest.group, largest.prompt, largest.completion
    most = config.prompts * group
    is_kept = config.acts_on == "answer"
    kept = costs.kept_bytes(config.prompts, prompt) if is_kept else 0.0

    def needed(rows: int) -> float:
        return kept + costs.pass_bytes(rows, group, prompt, completion)

    least = config.rows or 1
    if held + needed(least) > limit:
        raise TrainingError(
            f"memory: {held / 1e9:.1f} GB for the model and {needed(least) / 1e9:.1f} GB "
            f"for {least} completion(s) of {completion} tokens at once, "
            f"available are {limit / 1e9:.1f} GB. Take a quantised or smaller model, fewer "
            "--targets, a lower --rank, --checkpointing, or fewer --rows"
        )
    rows = next(k for k in range(most, 0, -1) if k == 1 or held + needed(k) <= limit)
    rows = rows // group * group if rows >= group else rows
    rows = config.rows or rows
    row = costs.row_bytes(prompt + completion, largest.scored)
    decoded = max(1, min(most, int((limit - held) / max(_MARGIN * row, 1))))
    return MemoryPlan(RowLimits(rows, decoded), int(needed(rows)), int(decoded * row), limit)


@dataclass(frozen=True)
class Largest:
    """The largest problem of a training, part by part; lengths in tokens."""

    prompt: int
    completion: int
    group: int
    """Completions: of a problem with options, these."""
    scored: int
    """Tokens of a completion that have scores at a time: of an option, all of them."""


def find_largest(model: SVFModel, task: Task, config: TrainConfig) -> Largest:
    """Looked for in some steps at the beginning and at the end of a training, which may
    differ.
    """
    problems = [
        problem
        for progress in (0.0, 1 - 1e-9)
        for step in (1, 2)
        for problem in task.step(config.prompts, config.seed + step, config.balanced, progress)
    ]
    prompt, completion, group, scored = 0, 0, 0, 1
    for problem in problems:
        tokens = model.encode(problem.messages)
        prompt = max(prompt, len(tokens))
        if problem.options:
            longest = max(map(len, encode_options(model, tokens, problem.options)))
            scored, completion = max(scored, longest), max(completion, longest)
            group = max(group, len(problem.options))
        else:
            completion, group = max(completion, task.max_tokens), max(group, config.group)
    return Largest(prompt, completion, group, scored)


def limit_bytes(config: TrainConfig) -> int:
    """The most that a run may fill."""
    return memory_bytes() if config.memory_gb is None else int(config.memory_gb * 1e9)


def measure_costs(model: SVFModel, objective: Objective, parameters: Arrays) -> Watched[Costs]:
    """Gradient passes over a few tokens each, and what each of them took at its peak."""
    done, passes = count(), 7 if objective.acts_on == "answer" else 5

    def peak(prompt: int, completion: int, rows: int) -> Watched[float]:
        yield Phase("measuring memory", next(done), passes)
        tokens = (1,) * completion
        group = AdvantageGroup((1,) * prompt, (tokens,) * rows, (1.0,) * rows)
        objective.readings.clear()
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        objective.gradient(parameters, [group], rows)
        return mx.get_peak_memory() - before

    yield from peak(_FEW, _FEW, 1)  # whatever is made once is made here
    least = yield from peak(_FEW, _FEW, 1)
    answered = yield from peak(_FEW, _MORE, 1)
    completion = max(0.0, answered - least) / (_MORE - _FEW)
    if objective.acts_on == "answer":
        slopes = yield from _measure_slopes(peak)
        prompt, copied = slopes[0], max(0.0, slopes[1] - slopes[0]) / (_COPIES - 1)
    else:
        long = yield from peak(_MORE, _FEW, 1)
        prompt = max(0.0, long - least) / (_MORE - _FEW)
        twice = yield from peak(_MORE, _FEW, 2)
        copied = max(0.0, twice - long - _FEW * completion) / _MORE
    fixed = max(0.0, least - _FEW * (completion + prompt))
    vocabulary = model.logits_at(mx.array([[1]]), None, mx.array([0])).shape[-1]
    return Costs(fixed, prompt, completion, copied, scores=4 * 4 * vocabulary)


def _measure_slopes(peak: Callable[[int, int, int], Watched[float]]) -> Watched[list[float]]:
    """What a token of the prompt takes, with one completion of it and with `_COPIES`."""
    slopes = []
    for rows in (1, _COPIES):
        short = yield from peak(_SHORT, _FEW, rows)
        long = yield from peak(_LONG, _FEW, rows)
        slopes.append(max(0.0, long - short) / (_LONG - _SHORT))
    return slopes
