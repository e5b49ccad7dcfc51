"""Experts that were trained to classify, as routers: their labels, and when to trust them.

Knows expert files and the task `cls`; does not know what the labels' experts do.
"""

from dataclasses import replace

from mlx_t2.experts import Expert
from mlx_t2.grading import read_number
from mlx_t2.models import SVFModel
from mlx_t2.routing import LEAST_THRESHOLD, ClsRouter, find_threshold
from mlx_t2.tasks import Task

_THRESHOLD = "threshold"


def judge_by(model: SVFModel, judge: Expert) -> ClsRouter:
    """The router that the expert is, with the threshold that its file has."""
    found = read_number(judge.metrics.get(_THRESHOLD))
    threshold = found if found is not None and 0 < found < 1 else LEAST_THRESHOLD
    labels = tuple(judge.config.get("options", ()))
    return ClsRouter(model, labels, judge.scales, judge.acts_on, threshold)


def calibrate_judge(model: SVFModel, judge: Expert, task: Task) -> Expert:
    """The expert with the threshold under which hardly any ordinary request of the task's
    validation part would get an expert. The model has to be ready to wear it.
    """
    problems = task.problems("validation", task.available("validation", 10**6))
    threshold = find_threshold(judge_by(model, judge), problems)
    return replace(judge, metrics={**judge.metrics, _THRESHOLD: threshold})
