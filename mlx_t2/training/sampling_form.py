"""In which form a step's completions are sampled. Counts operations; samples nothing."""

from collections.abc import Sequence
from dataclasses import replace

from mlx_t2.models import SVFModel
from mlx_t2.svf import OPERATIONS_ALONE, Choice, Work, ones
from mlx_t2.tasks import Problem, Task

from .config import TrainConfig


def choose_sampling_form(
    model: SVFModel, task: Task, config: TrainConfig, problems: Sequence[Problem]
) -> Choice:
    """Live or beside: what takes fewer operations for these problems' completions, each as long
    as it may be. Counted, not timed: a run takes the same form whenever and wherever it runs.

    Only what is not rounded: beside a quantised weight the policy would not be the one whose
    gradient is taken, nor would it in a folded weight of 16 bits.
    """
    free = [problem for problem in problems if not problem.options]
    read = sum(len(model.encode(p.messages)) for p in free) if config.acts_on == "all" else 0
    work = Work(read, task.max_tokens, len(free) * config.group)
    scales = ones(model.shapes)
    choice = model.form_for(scales, work, OPERATIONS_ALONE, ("live", "beside"))
    return choice if choice.bits == 16 else replace(choice, form="live", bits=16, bytes=0)
