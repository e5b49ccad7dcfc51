"""Temperature and threshold against values worked out by hand."""

import doctest
import math

import mlx.core as mx
import pytest
from helpers import assert_close

from mlx_t2.routing import calibration
from mlx_t2.routing.calibration import (
    AIM,
    LEAST_THRESHOLD,
    calibrate,
    choose_threshold,
    fit_temperature,
)
from mlx_t2.routing.logistic import LinearHead


def odds(p):
    return p / (1 - p)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(calibration).failed == 0


@pytest.mark.parametrize("right", [6, 7, 9])
def test_the_temperature_makes_the_confidence_the_accuracy(right):
    """Logits 4 and 0, `right` of ten right: σ(4 / T) = right / 10, so T = 4 / ln odds."""
    logits = mx.array([[4.0, 0.0]] * 10)
    classes = mx.array([0] * right + [1] * (10 - right))
    temperature = fit_temperature(logits, classes)
    assert temperature == pytest.approx(4 / math.log(odds(right / 10)), rel=1e-3)
    sure = mx.softmax(logits / temperature, axis=-1)[0, 0].item()
    assert sure == pytest.approx(right / 10, abs=1e-3)


def test_the_temperature_is_that_of_the_logits_that_drew_the_classes():
    """2000 classes drawn at temperature 3: within 15 %, 8 standard deviations."""
    logits = 3 * mx.random.normal((2000, 4), key=mx.random.key(0))
    classes = mx.random.categorical(logits / 3, key=mx.random.key(1)).astype(mx.int32)
    assert fit_temperature(logits, classes) == pytest.approx(3, rel=0.15)


def test_a_head_that_is_never_wrong_is_not_made_infinitely_sure():
    logits, classes = mx.array([[1.0, 0.0], [0.0, 1.0]]), mx.array([0, 1])
    assert 1 / 20 < fit_temperature(logits, classes) < 0.2


def test_cooling_changes_no_order():
    key = mx.random.key(0)
    head = LinearHead(mx.random.normal((3, 5), key=key), mx.ones(3), mx.zeros(5), mx.ones(5))
    states = 9 * mx.random.normal((50, 5), key=mx.random.key(1))
    found = calibrate(head, states, mx.random.randint(0, 3, (50,), key=mx.random.key(2)))
    assert found.temperature > 1
    assert_close(found.head.logits(states), head.logits(states) / found.temperature)


# The threshold


def test_it_lies_half_way_in_log_odds_between_what_may_not_pass_and_what_should():
    found = choose_threshold([0.1, 0.6], [0.3, 0.9, 0.99])
    assert odds(found) == pytest.approx(math.sqrt(1.5 * 9))


def test_with_nothing_in_the_way_it_lies_above_the_least():
    assert odds(choose_threshold([0.1], [0.8])) == pytest.approx(math.sqrt(1 * 4))
    assert choose_threshold([], [0.8]) > LEAST_THRESHOLD


def test_so_few_may_pass_that_the_next_one_passes_with_a_chance_of_the_aim():
    """(k + 1) / (n + 1) ≤ 1 / 10: of 9 none, of 19 one, of 28 one, of 29 two."""
    for n, k in ((3, 0), (9, 0), (19, 1), (28, 1), (29, 2)):
        ordinary = [0.6 + 0.01 * i for i in range(n)]
        found = choose_threshold(ordinary, [], aim=0.1)
        assert sum(p >= found for p in ordinary) <= k
        found = choose_threshold(ordinary, [p + 0.005 for p in ordinary], aim=0.1)
        assert sum(p >= found for p in ordinary) == k


@pytest.mark.parametrize("seed", range(5))
def test_it_picks_the_best_recall_among_those_that_let_through_no_more(seed):
    draw = mx.random.uniform(shape=(2, 900), key=mx.random.key(seed))
    ordinary, meant = (draw[0] ** 3).tolist(), (draw[1] ** 0.2).tolist()
    found = choose_threshold(ordinary, meant)
    limit = math.floor(AIM * 901) - 1
    assert sum(p >= found for p in ordinary) <= max(0, limit) < 0.01 * 900
    allowed = [
        sum(p >= t for p in meant)
        for t in [*meant, *ordinary]
        if t > LEAST_THRESHOLD and sum(p >= t for p in ordinary) <= max(0, limit)
    ]
    assert sum(p >= found for p in meant) == max(allowed)


def test_what_is_drawn_alike_passes_at_most_as_often_as_promised():
    """The mean share of fresh requests over 40 drawings, at most the aim and five standard
    deviations, √(aim / 40 / 800).
    """
    shares = []
    for seed in range(40):
        draw = mx.random.uniform(shape=(2, 800), key=mx.random.key(seed))
        chosen, fresh = (row.tolist() for row in draw)
        found = choose_threshold(chosen, [])
        shares.append(sum(p >= found for p in fresh) / 800)
    assert sum(shares) / 40 <= AIM + 5 * math.sqrt(AIM / 40 / 800)


def test_the_surest_ordinary_request_of_all_leaves_a_threshold_below_one():
    assert 0.99 < choose_threshold([1.0, 1.0], [1.0]) < 1
