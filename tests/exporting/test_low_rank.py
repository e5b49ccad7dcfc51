"""Which terms a budget keeps, against every other choice."""

from itertools import product

import mlx.core as mx
import numpy as np
import pytest

from mlx_t2.exporting.low_rank import choose_ranks, keep_longest


def random_lengths(seed: int):
    generator = np.random.default_rng(seed)
    sizes = [3, 4, 2]
    lengths = {(name, 0): generator.random(n) for name, n in zip("abc", sizes, strict=True)}
    return lengths, {("a", 0): 5, ("b", 0): 5, ("c", 0): 5}


@pytest.mark.parametrize("seed", range(5))
def test_no_other_ranks_of_the_same_cost_keep_more(seed):
    lengths, costs = random_lengths(seed)
    descending = {matrix: np.sort(each)[::-1] ** 2 for matrix, each in lengths.items()}
    total = sum(each.sum() for each in descending.values())
    for budget in range(5, 50, 5):
        chosen = choose_ranks(lengths, costs, budget)
        best = max(
            sum(descending[m][:k].sum() for m, k in zip(lengths, ranks, strict=True))
            for ranks in product(range(4), range(5), range(3))
            if 5 * sum(ranks) <= budget
        )
        assert chosen.numbers <= budget
        assert chosen.share == pytest.approx(best / total)
        assert 5 * sum(chosen.of.values()) == chosen.numbers


def test_a_term_of_a_larger_matrix_has_to_be_longer():
    lengths = {("large", 0): np.array([3.0]), ("small", 0): np.array([2.0])}
    costs = {("large", 0): 100, ("small", 0): 10}
    assert choose_ranks(lengths, costs, 100).of == {("large", 0): 0, ("small", 0): 1}
    assert choose_ranks(lengths, costs, 110).of == {("large", 0): 1, ("small", 0): 1}


def test_the_fewest_terms_that_keep_a_share():
    lengths = {("a", 0): np.array([2.0, 1.0, 1.0]), ("b", 0): np.array([1.0, 0.0])}
    costs = {("a", 0): 4, ("b", 0): 4}
    assert choose_ranks(lengths, costs, share=0.5).of == {("a", 0): 1, ("b", 0): 0}
    assert choose_ranks(lengths, costs, share=0.6).of == {("a", 0): 2, ("b", 0): 0}
    everything = choose_ranks(lengths, costs, share=1.0)
    assert everything.of == {("a", 0): 3, ("b", 0): 1}  # terms without length never
    assert everything.share == 1
    assert everything.largest == 3


def test_a_budget_below_one_term_keeps_nothing():
    lengths, costs = random_lengths(0)
    chosen = choose_ranks(lengths, costs, 4)
    assert (chosen.numbers, chosen.share, chosen.largest) == (0, 0, 0)


def test_the_longest_terms_are_kept_and_their_length_is_shared_evenly():
    left, right = (mx.random.normal(shape, key=mx.random.key(1)) for shape in ((5, 4), (4, 6)))
    left = left * mx.array([1.0, 0.0, 30.0, 2.0])
    b, a = keep_longest(left, right, 2)
    each = np.array(left)[:, :, None] * np.array(right)[None]
    lengths = np.linalg.norm(each, axis=(0, 2))
    first, second = np.argsort(-lengths)[:2]
    assert np.allclose(np.array(b @ a), each[:, first] + each[:, second], atol=1e-5)
    assert np.allclose(mx.linalg.norm(b, axis=0), mx.linalg.norm(a, axis=1), rtol=1e-5)
    whole = keep_longest(left, right, 4)
    assert np.allclose(np.array(whole[0] @ whole[1]), each.sum(1), atol=1e-5)
