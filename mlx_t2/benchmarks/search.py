"""A population of mixtures on some problems, as the rows of one batch and one after another."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import mlx.core as mx
import numpy as np

from mlx_t2.adaptation import MixtureSpace, Scorer
from mlx_t2.experts import BUNDLED, Library
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.sampling import SamplingConfig, rollouts
from mlx_t2.tasks import Problem, Task, get_task

from .measurement import Measurement, interleave

_DOMAINS = ("expression", "kind", "largest")
_POPULATION, _SHOTS = 16, 8


def measure(runs: int = 5) -> Iterator[Measurement]:
    """Each measurement as it is made: of experts that act on the answer alone, whose prompts
    are read once for all candidates, and of those that act on all.
    """
    model = decompose(load())
    library = Library(BUNDLED / model.name, bundled=None)
    found = {name: library.find(name) for name in _DOMAINS}
    task = get_task("largest-shared")
    problems = task.problems("train", _SHOTS)
    points = mx.array(
        np.random.default_rng(0).uniform(0, 1, (_POPULATION, len(found))).astype(np.float32)
    )
    for acts_on in ("answer", "all"):
        experts = {name: replace(expert, acts_on=acts_on) for name, expert in found.items()}
        scorer = Scorer(model, task, MixtureSpace(experts), problems)

        def together(scorer: Scorer = scorer) -> None:
            scorer.rank_answers(points)

        def one_by_one(scorer: Scorer = scorer) -> None:
            _answer_folded(model, task, problems, scorer, points)

        seconds = interleave(together, one_by_one, runs)
        name = f"{_POPULATION} mixtures × {_SHOTS} problems, experts act on {acts_on}"
        against = "one mixture after another, folded"
        yield Measurement(name, *seconds, against, target="4" if acts_on == "answer" else "")


def _answer_folded(
    model: SVFModel,
    task: Task,
    problems: Sequence[Problem],
    scorer: Scorer,
    points: mx.array,
) -> None:
    """The same answers, each mixture folded into the weights."""
    greedy = SamplingConfig(temperature=0, max_tokens=task.max_tokens)
    for point in points:
        scales = {path: z[0] for path, z in scorer.space.scales(point[None]).items()}
        with model.using(scales, form="folded", acts_on=scorer.acts_on):
            rollouts(model, task, problems, 1, greedy)
