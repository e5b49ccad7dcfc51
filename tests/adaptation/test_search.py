"""Mixtures searched on a few problems of a tiny model."""

from dataclasses import dataclass, replace

import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close
from toy_task import StartHigh

from mlx_t2.adaptation import SearchConfig, as_expert, prepare_all, search, search_mixture
from mlx_t2.adaptation.mixture_space import MixtureSpace
from mlx_t2.adaptation.search import Scorer
from mlx_t2.errors import ConfigError
from mlx_t2.experts import Expert, mix
from mlx_t2.grading import RIGHT, wrong
from mlx_t2.sampling import score_options
from mlx_t2.tasks import Problem

KINDS = ("all", "answer")
ANSWERS = {"7, 4": "7", "my old plum": "food", "the sum of b": "sum(b)"}


@dataclass(frozen=True)
class Letters(StartHigh):
    """Right: more different letters, so that rewards are many and differ."""

    name: str = "letters"
    max_tokens: int = 5

    def grade(self, attempts):
        rewards = [len(set(text)) / 8 for _, text in attempts]
        return [replace(RIGHT, reward=r) if r else wrong("nothing") for r in rewards]


@pytest.fixture
def problems():
    return [
        Problem(
            *(f"letters/{q}", ({"role": "user", "content": q},), answer, "only", "letters"),
            options=("7", "fo", "sum", "tool", "abcde"),
        )
        for q, answer in ANSWERS.items()
    ]


@pytest.fixture
def ready(tiny_model, experts):
    """Make the model ready for the three experts of one kind."""

    def make(acts_on="answer"):
        alike = {k: replace(e, acts_on=acts_on) for k, e in experts.items()}
        for path, z in list(alike["kind"].scales.items()):
            alike["kind"].scales[path] = 1 + 3 * (z - 1)  # strong enough to change answers
        for _ in tiny_model.decompose():
            pass
        return alike

    return make


def last(model, experts, problems, **settings):
    config = SearchConfig(**{"iterations": 3, "population": 6} | settings)
    return list(search_mixture(model, Letters(), experts, problems, config))[-1]


@pytest.mark.parametrize("acts_on", KINDS)
def test_rows_of_one_batch_score_what_each_mixture_scores_alone(
    tiny_model, ready, problems, acts_on
):
    experts = ready(acts_on)
    space = MixtureSpace(experts)
    scorer = Scorer(tiny_model, Letters(), space, problems)
    points = mx.array(np.random.default_rng(0).uniform(0, 1.5, (5, 3)).astype(np.float32))
    ranks = scorer.rank(points)
    for point, (reward, likelihood) in zip(points, ranks, strict=True):
        coefficients = point.tolist()
        scales = mix([experts[k] for k in space.labels], coefficients)
        prompts = [tiny_model.encode(p.messages) for p in problems]
        with tiny_model.using(scales, acts_on=acts_on):
            choices = score_options(tiny_model, prompts, [p.options for p in problems])
        chosen = [choice.texts[choice.best] for choice in choices]
        assert reward == pytest.approx(sum(len(set(t)) / 8 for t in chosen) / 3, abs=1e-6)
        assert likelihood == pytest.approx(-float(scorer.surprise(point)), rel=1e-4)
    assert len({reward for reward, _ in ranks}) > 1


def test_long_answers_are_scored_a_few_candidates_at_a_time(
    tiny_model, ready, problems, monkeypatch
):
    scorer = Scorer(tiny_model, Letters(), MixtureSpace(ready()), problems)
    points = mx.array(np.random.default_rng(0).uniform(0, 1.5, (5, 3)).astype(np.float32))
    whole, sizes = scorer.rank_likelihood(points), []
    likelihood = scorer._likelihood
    monkeypatch.setattr(
        scorer, "_likelihood", lambda part: sizes.append(len(part)) or likelihood(part)
    )
    monkeypatch.setattr(search, "SCORED", 2 * sum(map(len, scorer._answers)))
    for one, (expected,) in zip(scorer.rank_likelihood(points), whole, strict=True):
        assert one == pytest.approx((expected,), rel=1e-5)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("per", ["model", "layer", "matrix"])
@pytest.mark.parametrize("normalised", [False, True])
def test_a_point_is_a_mixture_of_its_parts(tiny_model, ready, per, normalised):
    experts = ready()
    space = MixtureSpace(experts, per, normalised)
    assert space.size == 3 * {"model": 1, "layer": 2, "matrix": 6}[per]
    point = mx.array(np.random.default_rng(1).uniform(0.1, 1, space.size).astype(np.float32))
    scales = space.scales(point[None])
    for path, z in scales.items():
        part = {"model": "", "layer": path.split(".")[2], "matrix": path}[per]
        a = {k: v if per == "model" else v[part] for k, v in space.describe(point).items()}
        if normalised:
            assert sum(a.values()) == pytest.approx(1)
        expected = 1 + sum(
            (a[k] * (experts[k].scales[path] - 1) for k in a if path in experts[k].scales),
            mx.zeros(()),
        )
        assert_close(z[0], expected)


def test_the_gradient_is_the_finite_difference(tiny_model, ready, problems):
    scorer = Scorer(tiny_model, Letters(), MixtureSpace(ready()), problems)
    point = mx.array([0.3, 0.6, 0.9])
    slope = mx.grad(scorer.surprise)(point)
    for i in range(3):
        step = 1e-2 * mx.eye(3)[i]
        difference = (scorer.surprise(point + step) - scorer.surprise(point - step)) / 2e-2
        assert float(slope[i]) == pytest.approx(float(difference), rel=3e-2, abs=2e-4)


@pytest.mark.parametrize("by", ["score", "likelihood", "gradient"])
def test_a_search_is_never_worse_than_any_expert_and_repeats(tiny_model, ready, problems, by):
    experts = ready()
    found = last(tiny_model, experts, problems, by=by)
    space = MixtureSpace(experts)
    scorer = Scorer(tiny_model, Letters(), space, problems)
    ranker = scorer.rank if by == "score" else scorer.rank_likelihood
    starts = ranker(mx.array(space.starts().astype(np.float32)))
    assert found.rank >= max(starts)
    turned = dict(reversed(experts.items()))
    again = last(tiny_model, turned, problems, by=by)
    assert again.coefficients == found.coefficients
    assert all(mx.array_equal(z, again.scales[path]) for path, z in found.scales.items())
    assert found.evaluations >= 3 * len(starts)


def test_what_is_found_is_an_expert(tiny_model, ready, problems, tmp_path):
    experts = ready()
    config = SearchConfig(iterations=2, per="layer")
    found = list(search_mixture(tiny_model, Letters(), experts, problems, config))[-1]
    made = as_expert("mine", tiny_model, Letters(), experts, found, config, {"score": 0.5})
    made.save(tmp_path / "mine.safetensors")
    read = Expert.load(tmp_path / "mine.safetensors")
    assert read.acts_on == "answer"
    assert read.config["coefficients"] == found.coefficients
    assert read.config["search"]["per"] == "layer"
    assert read.to_bytes() == made.to_bytes()
    preparation, again = prepare_all(tiny_model, names=[str(tmp_path / "mine.safetensors")])
    assert preparation.recipe is None
    assert len(again) == 1


@pytest.mark.parametrize("name", ["shots", "population", "iterations"])
def test_settings_that_make_no_search_are_refused(name):
    with pytest.raises(ConfigError, match=f"search: {name}: got 0, expected 1 or more"):
        SearchConfig(**{name: 0})


def test_problems_without_answers_are_searched_by_score_alone(tiny_model, ready, problems):
    blank = [replace(problem, answer="") for problem in problems]
    experts = ready()
    assert len(last(tiny_model, experts, blank, iterations=1).rank) == 1
    with pytest.raises(ConfigError, match="by likelihood: letters has no right answers"):
        last(tiny_model, experts, blank, by="likelihood")
    with pytest.raises(ConfigError, match="search: got no problems"):
        last(tiny_model, experts, [])
