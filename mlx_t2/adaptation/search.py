"""A mixture of experts for a task, found on a few of its problems.

    z' = 1 + Σ_k α_k (z_k − 1),       α chosen once per task

Candidates × problems are the rows of one batch. Knows tasks and how to score a mixture; does
not know how it will be reported: that takes other problems.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import fsum, isfinite
from typing import Any, Literal

import mlx.core as mx
import numpy as np
from jaxtyping import Float
from mlx.optimizers import Adam

from mlx_t2.errors import ConfigError
from mlx_t2.experts import Expert, acts_on_of
from mlx_t2.models import SVFModel
from mlx_t2.reading import SCORED, completion_logprobs
from mlx_t2.sampling import SamplingConfig, encode_options, rollouts
from mlx_t2.svf import ActsOn, Scales
from mlx_t2.tasks import REFERENCE, Problem, Task

from .cem import Rank, cross_entropy
from .mixture_space import MixtureSpace, Per
from .strategy import Experts, shared_prompt_of

By = Literal["score", "likelihood", "gradient"]
_BOUNDS = (0.0, 1.5)
"""Least and largest coefficient: each expert, their average and their sum lie inside."""
_RATE = 0.1
"""Adam's, on coefficients."""
_ROWS = 128
"""Most rows that are answered at once."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How coefficients are searched."""

    per: Per = "model"
    """One coefficient per expert for the whole model, for each layer or for each matrix."""
    normalised: bool = False
    """The coefficients of each part sum to 1."""
    by: By = "score"
    """What candidates are ranked by: the score of their answers and then how probable they make
    right answers; that probability alone; or it alone, climbed by its gradient.
    """
    shots: int = 8
    """Solved problems."""
    population: int = 16
    """Candidates per iteration."""
    iterations: int = 10
    """Populations; steps of the gradient."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("shots", "population", "iterations"):
            if getattr(self, name) < 1:
                got = getattr(self, name)
                raise ConfigError(f"search: {name}: got {got}, expected 1 or more")


@dataclass(frozen=True)
class Found:
    """The best mixture so far."""

    coefficients: dict[str, Any]
    """{expert: α}, or {expert: {part: α}}."""
    scales: Scales
    rank: Rank
    """Its score, where answers were graded, and the mean log-probability of right answers
    [nats per token], where any are known.
    """
    iteration: int
    evaluations: int
    """Answers graded or scored so far: one candidate on one problem."""


def search_mixture(
    model: SVFModel,
    task: Task,
    experts: Experts,
    problems: Sequence[Problem],
    config: SearchConfig,
) -> Iterator[Found]:
    """The best mixture after each iteration, on these problems.

    The model has to be ready for the experts (`prepare_all`). Same seed, same result,
    whatever the order of the experts.
    Raises: ConfigError for no problems, or where right answers are needed and not known.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2 C.
    Differs (20): it begins at every expert, keeps the best candidate of all, and is reported on
    problems that it was not chosen on; the paper draws around one point and keeps the mean.
    """
    if not problems:
        raise ConfigError("search: got no problems, expected some to choose a mixture on")
    space = MixtureSpace(experts, config.per, config.normalised)
    scorer = Scorer(model, task, space, problems)
    if config.by != "score" and not scorer.knows_answers:
        raise ConfigError(
            f"search: by {config.by}: {task.name} has no right answers to be scored, expected "
            "one for each of the problems. Search by score"
        )
    if config.by == "gradient":
        yield from _climb(scorer, config)
        return
    rank = scorer.rank if config.by == "score" else scorer.rank_likelihood
    generations = cross_entropy(
        lambda points: rank(mx.array(points.astype(np.float32))),
        space.starts(),
        _BOUNDS,
        config.population,
        config.iterations,
        seed=config.seed,
    )
    for one in generations:
        point = mx.array(one.best.astype(np.float32))
        evaluations = one.evaluations * len(problems)
        yield _found(space, point, one.rank, one.number, evaluations)


def _found(
    space: MixtureSpace, point: mx.array, rank: Rank, iteration: int, evaluations: int
) -> Found:
    scales = {path: z[0] for path, z in space.scales(point[None]).items()}
    return Found(space.describe(point), scales, rank, iteration, evaluations)


def _climb(scorer: "Scorer", config: SearchConfig) -> Iterator[Found]:
    """Adam on the mean log-probability of right answers, from the best start; the best point on
    the way is kept.
    """
    space, n = scorer.space, len(scorer.problems)
    starts = mx.array(space.starts().astype(np.float32))
    ranks = scorer.rank_likelihood(starts)
    first = max(range(len(ranks)), key=lambda i: ranks[i])
    point = best = starts[first]
    rank, evaluations = ranks[first], len(ranks) * n
    slope, optimizer = mx.value_and_grad(scorer.surprise), Adam(_RATE, bias_correction=True)
    optimizer.init({"point": point})
    for iteration in range(1, config.iterations + 1):
        value, gradient = slope(point)
        now = (-float(value),)
        best, rank = (point, now) if now > rank else (best, rank)
        evaluations += n
        yield _found(space, best, rank, iteration, evaluations)
        moved = optimizer.apply_gradients({"point": gradient}, {"point": point})
        point = mx.clip(moved["point"], *_BOUNDS)


class Scorer:
    """Mixtures on a few problems: how often they answer rightly, and how probable they make the
    right answers.

    Row n · S + s of a batch is candidate n on problem s. Where the experts act on the answer
    alone, each problem's prompt is read once for all candidates.
    """

    def __init__(
        self, model: SVFModel, task: Task, space: MixtureSpace, problems: Sequence[Problem]
    ):
        self.model, self.task, self.space = model, task, space
        self.problems = list(problems)
        self.acts_on: ActsOn = acts_on_of(list(space.experts.values()))
        self._prompts = [model.encode(problem.messages) for problem in problems]
        pairs = zip(problems, self._prompts, strict=True)
        self._answers = [_encode_answer(model, *pair) for pair in pairs]

    @property
    def knows_answers(self) -> bool:
        """Whether every problem has a right answer that can be scored."""
        return all(self._answers)

    def rank(self, points: Float[mx.array, "N D"]) -> list[Rank]:
        """(mean reward, mean log-probability of right answers) of every point; the first alone
        where right answers are not known.
        """
        rewards = self._in_parts(points, self._reward, _ROWS // len(self.problems))
        if not self.knows_answers:
            return [(reward,) for reward in rewards]
        return [
            (reward, likely)
            for reward, (likely,) in zip(rewards, self.rank_likelihood(points), strict=True)
        ]

    def rank_answers(self, points: Float[mx.array, "N D"]) -> list[Rank]:
        """The mean reward alone."""
        most = _ROWS // len(self.problems)
        return [(reward,) for reward in self._in_parts(points, self._reward, most)]

    def rank_likelihood(self, points: Float[mx.array, "N D"]) -> list[Rank]:
        """The mean log-probability of right answers alone."""
        tokens = sum(map(len, self._answers))
        most = min(_ROWS // len(self.problems), SCORED // tokens)
        return [(value,) for value in self._in_parts(points, self._likelihood, most)]

    def surprise(self, point: Float[mx.array, " D"]) -> Float[mx.array, ""]:
        """Minus the mean log-probability of right answers [nats per token]; differentiable."""
        scales = {path: z[0] for path, z in self.space.scales(point[None]).items()}
        with self.model.using(scales, acts_on=self.acts_on):
            answers = [[answer] for answer in self._answers]
            return -mx.mean(completion_logprobs(self.model, self._prompts, answers))

    def _in_parts(
        self, points: mx.array, score: Callable[[mx.array], list[float]], most: int
    ) -> list[float]:
        """`most` candidates at a time, and one at least."""
        size = max(1, most)
        starts = range(0, len(points), size)
        return [one for i in starts for one in score(points[i : i + size])]

    def _rows(self, points: mx.array) -> Scales:
        """The candidates' scales, each in a row per problem."""
        n = len(self.problems)
        return {p: mx.repeat(z, n, axis=0) for p, z in self.space.scales(points).items()}

    def _reward(self, points: mx.array) -> list[float]:
        greedy = SamplingConfig(temperature=0, max_tokens=self.task.max_tokens)
        with self.model.using(self._rows(points), acts_on=self.acts_on):
            asked = self.problems * len(points)
            done = rollouts(self.model, self.task, asked, 1, greedy)
        rewards = [rollout.rewards[0] for rollout in done]
        return _means(rewards, [1] * len(self.problems))

    def _likelihood(self, points: mx.array) -> list[float]:
        n = len(points)
        with self.model.using(self._rows(points), acts_on=self.acts_on):
            answers = [[answer] for answer in self._answers] * n
            found: Any = completion_logprobs(self.model, self._prompts * n, answers).tolist()
        means = _means(found, list(map(len, self._answers)))
        return [mean if isfinite(mean) else -float("inf") for mean in means]


def _means(values: Sequence[float], lengths: Sequence[int]) -> list[float]:
    """The mean of every run of Σ lengths values."""
    n = sum(lengths)
    return [fsum(values[i : i + n]) / n for i in range(0, len(values), n)]


def _encode_answer(model: SVFModel, problem: Problem, prompt: list[int]) -> tuple[int, ...]:
    """The tokens of a right answer and the end token; nothing where none is known."""
    text = problem.row.get(REFERENCE, problem.answer)
    if not isinstance(text, str) or not text:
        return ()
    end = () if model.tokenizer.eos_token_id is None else (model.tokenizer.eos_token_id,)
    return (*encode_options(model, prompt, [text])[0], *end)


def as_expert(
    name: str,
    model: SVFModel,
    task: Task,
    experts: Experts,
    found: Found,
    config: SearchConfig,
    metrics: dict[str, Any],
) -> Expert:
    """The mixture as an expert, with its coefficients in its settings."""
    chosen = [experts[label] for label in sorted(experts)]
    targets = {expert.targets for expert in chosen}
    chosen_targets = targets.pop() if len(targets) == 1 else (model.targets or "mlp")
    is_full = all(expert.rank is None for expert in chosen)
    return Expert(
        name=name,
        scales=found.scales,
        base_model=model.name,
        base_fingerprint=model.fingerprint(chosen_targets),
        targets=chosen_targets,
        rank=None if is_full else max(z.shape[-1] for z in found.scales.values()),
        task=task.name,
        seed=config.seed,
        config={
            "search": asdict(config),
            "coefficients": found.coefficients,
            "prompt": list(shared_prompt_of(chosen)),
        },
        metrics=metrics,
        acts_on=acts_on_of(chosen),
    )
