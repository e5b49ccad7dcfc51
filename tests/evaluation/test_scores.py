"""Intervals and tests against published and hand-worked values."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_t2.errors import ConfigError
from mlx_t2.evaluation import (
    bootstrap,
    bootstrap_mean,
    clustered_wilson,
    confusion,
    effective_count,
    holm,
    mcnemar,
    pass_at,
    smallest_difference,
    wilson,
)

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


# Clusters


def test_the_effective_count_by_hand():
    """x̄ = 3/6. Clusters (1,1,1), (0,0), (0): sums less m x̄ are 1.5, −1, −0.5, squares 3.5;
    scatter 6/4; D = 3/2 · 3.5/1.5 = 3.5, so six problems count as 12/7.
    """
    values, clusters = [True, True, True, False, False, False], list("aaabbc")
    assert effective_count(values, clusters) == pytest.approx(6 / 3.5)
    assert clustered_wilson(values, clusters) == pytest.approx(wilson(6 / 7, 12 / 7))
    # within a cluster as unlike as across: never more than there are
    assert effective_count([1, 0, 1, 0], list("aabb")) == 4
    assert effective_count(values, list("abcdef")) == effective_count(values) == 6


@pytest.mark.parametrize("right", [True, False])
def test_where_all_agree_a_cluster_counts_as_one_problem(right):
    outcomes, clusters = [right] * 6, list("aabbcc")
    assert effective_count(outcomes, clusters) == 3
    assert clustered_wilson(outcomes, clusters) == wilson(3 * right, 3)
    assert clustered_wilson(outcomes) == wilson(6 * right, 6)
    assert effective_count([1, 0, 1], list("aaa")) == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
def test_clusters_never_make_an_interval_narrower(pairs):
    outcomes, clusters = zip(*pairs, strict=True)
    low, high = clustered_wilson(outcomes, clusters)
    plain = wilson(sum(outcomes), len(outcomes))
    assert 0 <= low <= sum(outcomes) / len(outcomes) <= high <= 1
    assert high - low >= plain[1] - plain[0] - 1e-12


def test_each_cluster_is_one_coin():
    """Gains of three clusters: 2, 1, −1, sum 2. Of the eight sums ±2 ±1 ±1, which are 4, 2, 2,
    0 and their negatives, six are at least 2 in size.
    """
    before = [False, False, False, True]
    after = [True, True, True, False]
    paired = mcnemar(before, after, list("aabc"))
    assert (paired.fixed, paired.broken, paired.p) == (3, 1, 6 / 8)
    # a cluster whose changes cancel says nothing
    assert mcnemar([True, False, False], [False, True, True], list("aab")).p == 1


@given(OUTCOMES)
def test_a_coin_for_each_problem_is_the_binomial_test(outcomes):
    before, after = (list(side) for side in zip(*outcomes, strict=True))
    pair = [True, True]  # a cluster of two problems that do not change
    shared = [*range(len(before)), "pair", "pair"]
    clustered = mcnemar(before + pair, after + pair, shared)
    assert clustered.p == pytest.approx(mcnemar(before, after).p, rel=1e-9)


def test_the_bootstrap_draws_whole_clusters():
    """Two clusters, one fixed whole and one unchanged: half of the draws have one of each, a
    quarter only the one or the other.
    """
    before, after = [False] * 4, [True, True, False, False]
    assert bootstrap(before, after, list("aabb")) == (0.0, 1.0)
    # 100 clusters of four: as wide as 100 problems, twice as wide as 400
    before, after = [False] * 400, [i < 200 for i in range(400)]
    low, high = bootstrap(before, after, [i // 4 for i in range(400)])
    assert (low, high) == pytest.approx((0.4, 0.6), abs=0.02)  # 1.96 √(1/4 / 100) = 0.098
    low, high = bootstrap(before, after)
    assert (low, high) == pytest.approx((0.45, 0.55), abs=0.01)


def test_the_bootstrap_interval_of_a_mean_by_hand():
    """Two values 0 and 1: the mean of two draws is 0, 1/2, 1 with chances 1/4, 1/2, 1/4."""
    assert bootstrap_mean([0.0, 1.0]) == (0.0, 1.0)
    assert bootstrap_mean([0.25] * 7) == (0.25, 0.25)
    # clusters of unlike sizes: the mean is over problems, not over clusters
    assert bootstrap_mean([1.0, 1.0, 1.0], ["a", "a", "b"]) == (1.0, 1.0)


# pass@k


@pytest.mark.parametrize(
    ("k", "samples", "right", "chance"),
    [
        (1, 8, 2, 2 / 8),
        (2, 4, 1, 1 - 3 / 6),
        (3, 5, 2, 1 - 1 / 10),
        (8, 8, 0, 0),
        (8, 8, 1, 1),
        (4, 5, 2, 1),  # of four of five, one of the two is right
    ],
)
def test_pass_at_k_by_hand(k, samples, right, chance):
    assert pass_at(k, samples, right) == pytest.approx(chance)


@given(st.integers(1, 8), st.integers(0, 8), st.data())
def test_pass_at_k_is_the_share_of_all_subsets_with_a_right_one(samples, right, data):
    right = min(right, samples)
    k = data.draw(st.integers(1, samples))
    subsets = list(itertools.combinations([True] * right + [False] * (samples - right), k))
    share = sum(map(any, subsets)) / len(subsets)
    assert pass_at(k, samples, right) == pytest.approx(share)


@pytest.mark.parametrize("k", [0, -1, 5])
def test_pass_at_k_needs_as_many_samples(k):
    with pytest.raises(ConfigError, match=rf"got k = {k} of 4 samples, expected 1 to 4"):
        pass_at(k, 4, 2)


# Power and several tests


def test_the_smallest_difference_solves_its_equation():
    """n = 400, 30 % discordant: √400 δ = 1.959964 √0.3 + 0.841621 √(0.3 − δ²), of which the
    closed form is δ = (z_a √(nψ) + z_b √(ψ(n − z_a² + z_b²))) / (n + z_b²).
    """
    n, share, a, b = 400, 0.3, 1.9599639845, 0.8416212336
    closed = (a * (n * share) ** 0.5 + b * (share * (n - a * a + b * b)) ** 0.5) / (n + b * b)
    assert smallest_difference(n, share) == pytest.approx(closed, abs=1e-9)
    assert closed == pytest.approx(0.0765, abs=5e-5)


def test_without_a_changed_verdict_the_difference_is_that_of_changes_all_one_way():
    """ψ = δ: √n δ = z_a √δ + z_b √(δ − δ²). n = 200, δ = 0.0388: 0.5485 = 0.3860 + 0.1625."""
    assert smallest_difference(200, 0.0) == pytest.approx(0.0388, abs=5e-5)
    assert smallest_difference(200, 0.01) == smallest_difference(200, 0.0)


def test_the_smallest_difference_is_shown_four_times_in_five():
    """Exact power by the binomial: of 400 problems 30 % change, split for the difference."""
    n, share = 400, 0.3
    gain = smallest_difference(n, share)
    fixed = (share + gain) / 2 / share
    power = 0.0
    for d in range(n + 1):
        weight = math.comb(n, d) * share**d * (1 - share) ** (n - d)
        if weight < 1e-12:
            continue
        tail = [math.comb(d, i) for i in range(d + 1)]
        total = 2**d
        reach, seen = -1, 0
        while 2 * (seen + tail[reach + 1]) / total <= 0.05:
            reach, seen = reach + 1, seen + tail[reach + 1]
        power += weight * sum(
            tail[i] * fixed**i * (1 - fixed) ** (d - i)
            for i in range(d + 1)
            if i <= reach or i >= d - reach
        )
    assert power == pytest.approx(0.8, abs=0.04)  # the exact test is a little stricter


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_handful_of_problems_shows_nothing(n):
    assert smallest_difference(n, 1.0) == 1


@given(st.integers(4, 5000), st.floats(0, 1))
def test_more_problems_show_smaller_differences(n, share):
    assert 0 < smallest_difference(2 * n, share) <= smallest_difference(n, share) <= 1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_helps_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(pairs))
