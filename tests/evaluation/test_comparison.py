"""Pairs of evaluations."""

from dataclasses import replace

import pytest

from mlx_t2.errors import ConfigError
from mlx_t2.evaluation import GradedItem, compare, compare_all, holm


def item(number, is_right, **other):
    return GradedItem(
        id=f"largest/{number}",
        question="7, 9, 4",
        answer="9",
        completion="9",
        reward=0.5,
        is_right=is_right,
        reason="",
        is_finished=True,
        label=None,
        coefficients={},
        kind="first",
        **other,
    )


BEFORE = [item(0, True), item(1, True), item(2, False), item(3, False), item(4, True)]


def test_items_are_paired_by_problem_and_not_by_place():
    after = [item(4, True), item(3, True), item(2, True), item(1, False), item(0, True)]
    found = compare(BEFORE, after)
    assert (found.n, found.before, found.after) == (5, 0.6, 0.8)
    assert (found.fixed, found.broken) == (("largest/2", "largest/3"), ("largest/1",))
    assert (found.paired.fixed, found.paired.broken, found.paired.p) == (2, 1, 1.0)
    assert found.interval[0] <= found.after - found.before <= found.interval[1]


def test_the_comparison_has_the_keys_that_scripts_rely_on():
    told = compare(BEFORE, BEFORE).to_json()
    contract = {"n", "before", "after", "fixed", "broken", "p", "interval"}
    assert contract <= told.keys()
    assert (told["n"], told["fixed"], told["broken"], told["p"]) == (5, 0, 0, 1.0)
    assert (told["interval"], told["fixed_ids"], told["broken_ids"]) == ([0.0, 0.0], [], [])


def test_a_gain_in_form_alone_is_shown_as_one():
    """The answers were right all along; afterwards they are also in the form asked for."""
    before = [item(i, False, is_lenient=True) for i in range(8)]
    after = [item(i, True) for i in range(8)]
    told = compare(before, after).to_json()
    assert (told["before"], told["after"]) == (0, 1)
    assert (told["strict"], told["lenient"]) == ([0, 1], [1, 1])
    cut = [replace(one, is_finished=False) for one in before[:2]] + before[2:]
    assert compare(cut, after).to_json()["truncated"] == [0.25, 0]


def test_problems_that_share_something_are_one_piece_of_evidence():
    before = [item(i, False, cluster=str(i // 4)) for i in range(16)]
    after = [item(i, True, cluster=str(i // 4)) for i in range(16)]
    found = compare(before, after)
    assert (found.n, found.clusters, found.paired.fixed) == (16, 4, 16)
    assert found.paired.p == 2 / 2**4
    apart = compare(*[[replace(one, cluster="") for one in side] for side in (before, after)])
    assert apart.paired.p == 2 / 2**16
    assert apart.smallest_difference < found.smallest_difference


def test_several_comparisons_are_adjusted_for_their_number():
    others = [[item(i, i < right) for i in range(5)] for right in (5, 2, 0)]
    found = compare_all(BEFORE, others)
    assert [one.paired.p for one in found] == [compare(BEFORE, one).paired.p for one in others]
    assert [one.p_adjusted for one in found] == holm([one.paired.p for one in found])
    assert compare(BEFORE, others[0]).p_adjusted == found[0].paired.p


def test_other_problems_cannot_be_compared():
    with pytest.raises(ConfigError, match=r"got 5 and 4 problems, 1 of them only once \(la"):
        compare(BEFORE, BEFORE[1:])
    with pytest.raises(ConfigError, match="got 5 and 0 problems"):
        compare(BEFORE, [])


def test_a_problem_that_is_there_twice_cannot_be_paired():
    with pytest.raises(ConfigError, match=r"the second has 2 answers to 'largest/0', expected"):
        compare(BEFORE, [*BEFORE, BEFORE[0]])
    sampled = [replace(one, sample=k, samples=2) for one in BEFORE for k in range(2)]
    with pytest.raises(ConfigError, match=r"the first has 2 .* several to 4 more.*--samples"):
        compare(sampled, BEFORE)
