"""Intervals and tests against published and hand-worked values."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_t2.errors import ConfigError
from mlx_t2.evaluation import bootstrap, confusion, mcnemar, wilson

OUTCOMES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I, method 3 (score, no correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_published_intervals(correct, n, low, high):
    assert wilson(correct, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_by_hand():
    """n = 4, p = 1/2: centre 1/2, half-width z/2 √(1/(n + z²)) = 0.97998 √(1/7.84146)."""
    assert wilson(2, 4) == pytest.approx((0.15004, 0.84996), abs=1e-5)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_mirrors_it(n, data):
    correct = data.draw(st.integers(0, n))
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n <= high <= 1
    assert wilson(n - correct, n) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(
    ("fixed", "broken", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 32),
        (1, 5, 2 * (1 + 6) / 64),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (3, 3, 1.0),
    ],
)
def test_mcnemar_by_hand(fixed, broken, p):
    before = [False] * fixed + [True] * broken + [True, False]
    after = [True] * fixed + [False] * broken + [True, False]
    paired = mcnemar(before, after)
    assert (paired.fixed, paired.broken) == (fixed, broken)
    assert paired.p == pytest.approx(p, rel=1e-12)


@given(OUTCOMES)
def test_mcnemar_is_the_same_from_either_side(outcomes):
    before, after = zip(*outcomes, strict=True)
    there, back = mcnemar(before, after), mcnemar(after, before)
    assert (there.fixed, there.broken, there.p) == (back.broken, back.fixed, back.p)
    assert 0 < there.p <= 1


def test_outcomes_have_to_come_in_pairs():
    with pytest.raises(ConfigError, match="got 2 and 1 outcomes, expected pairs"):
        mcnemar([True, False], [True])
    with pytest.raises(ConfigError, match="got 0 and 0 outcomes, expected pairs"):
        bootstrap([], [])


def test_the_bootstrap_interval_is_as_wide_as_the_normal_one():
    """n = 400, 20 % fixed, 10 % broken: gain 0.1, σ = √((0.3 − 0.01)/400) = 0.0269."""
    before = [False] * 80 + [True] * 40 + [True] * 280
    after = [True] * 80 + [False] * 40 + [True] * 280
    # 2000 draws place the percentiles to within 0.1 σ.
    expected = (0.1 - 1.96 * 0.0269, 0.1 + 1.96 * 0.0269)
    assert bootstrap(before, after) == pytest.approx(expected, abs=0.006)
    assert bootstrap(before, after) == bootstrap(before, after)


def test_no_change_is_an_interval_of_nothing():
    assert bootstrap([True, False], [True, False]) == (0.0, 0.0)


@given(st.permutations([("code", "code"), ("code", "other"), ("code", "code"), ("math", "x")]))
def test_confusion_counts_pairs_in_any_order(pairs):
    table = confusion(pairs)
    assert table["code"] == {"code": 2, "math": 0, "other": 1, "x": 0}
    assert sum(itertools.chain.from_iterable(row.values() for row in table.values())) == 4
