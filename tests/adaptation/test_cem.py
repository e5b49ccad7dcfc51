"""The cross-entropy method on functions whose optimum is known."""

import numpy as np
import pytest

from mlx_t2.adaptation.cem import cross_entropy

OPTIMUM = np.array([0.2, 0.9, 0.5])


def quadratic(points):
    return [(-float(((point - OPTIMUM) ** 2).sum()),) for point in points]


def search(rank=quadratic, starts=None, **settings):
    starts = np.zeros((1, 3)) if starts is None else starts
    return list(cross_entropy(rank, starts, (0.0, 1.5), **settings))


@pytest.mark.parametrize("seed", range(4))
def test_a_known_optimum_is_found(seed):
    last = search(iterations=25, seed=seed)[-1]
    assert np.abs(last.best - OPTIMUM).max() < 0.05
    assert last.evaluations == 25 * 16


def test_the_same_seed_searches_alike():
    one, other = (search(seed=3)[-1].best for _ in range(2))
    assert (one == other).all()
    assert (one != search(seed=4)[-1].best).any()


def test_the_best_is_kept_and_no_start_is_lost():
    found = search(starts=np.stack([np.ones(3), OPTIMUM]))
    assert all((one.best == OPTIMUM).all() for one in found)
    ranks = [one.rank for one in search()]
    assert ranks == sorted(ranks)


def test_candidates_stay_inside_the_bounds():
    seen = []
    search(lambda points: seen.append(points) or [(float(p.sum()),) for p in points])
    assert min(p.min() for p in seen) >= 0
    assert max(p.max() for p in seen) <= 1.5


def test_of_equal_scores_the_second_number_decides():
    def rank(points):
        return [(0.0, -float(abs(point - 0.7).sum())) for point in points]

    assert np.abs(search(rank, iterations=25)[-1].best - 0.7).max() < 0.05


def test_more_starts_than_the_population_are_all_ranked():
    sizes = []
    search(lambda p: sizes.append(len(p)) or quadratic(p), np.eye(3), population=2)
    assert sizes[0] == 3
