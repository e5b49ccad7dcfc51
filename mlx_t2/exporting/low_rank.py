"""The best low-rank form of a change under a budget: pure, on arrays; knows no files.

The change of a matrix is W' − W = U diag(σ (z − 1)) Vᵀ, which is its own singular value
decomposition: term i has the length |σ_i (z_i − 1)|, and the k longest are the best change of
rank k (Eckart and Young). Over all matrices, a term of an (out, in) matrix costs out + in
numbers; taken in the order of length² / (out + in), the terms keep the most of the change that
any choice under the budget can.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
from jaxtyping import Float

Matrix = tuple[str, int]
"""A module path, and which matrix of its stack."""


@dataclass(frozen=True)
class Ranks:
    """How many terms of each matrix are kept, and what that keeps of the change."""

    of: dict[Matrix, int]
    share: float
    """Σ length² of the kept terms by that of all: the share of the change."""
    numbers: int
    """What the kept terms cost, out + in each."""

    @property
    def largest(self) -> int:
        """The largest rank of any matrix."""
        return max(self.of.values(), default=0)


def choose_ranks(
    lengths: Mapping[Matrix, np.ndarray],
    costs: Mapping[Matrix, int],
    budget: float | None = None,
    share: float = 1.0,
) -> Ranks:
    """The ranks that keep most of the change for `budget` numbers; without one, the fewest that
    keep `share` of it.

    >>> lengths = {("a", 0): np.array([3.0, 1.0]), ("b", 0): np.array([2.0, 0.0])}
    >>> choose_ranks(lengths, {("a", 0): 4, ("b", 0): 4}, budget=8).of
    {('a', 0): 1, ('b', 0): 1}
    """
    matrices = list(lengths)
    owner = np.repeat(np.arange(len(matrices)), [len(lengths[m]) for m in matrices])
    energies = np.concatenate([np.asarray(lengths[m], np.float64) for m in matrices]) ** 2
    cost = np.array([costs[m] for m in matrices])[owner]
    order = np.argsort(-energies / cost, kind="stable")
    order = order[energies[order] > 0]
    kept, spent = np.cumsum(energies[order]), np.cumsum(cost[order])
    total = energies.sum()
    if budget is None:
        count = min(int(np.searchsorted(kept, share * total)) + 1, len(order))
    else:
        count = int(np.searchsorted(spent, budget, side="right"))
    counts = np.bincount(owner[order[:count]], minlength=len(matrices))
    return Ranks(
        {matrix: int(k) for matrix, k in zip(matrices, counts, strict=True)},
        float(kept[count - 1] / total) if count else 0.0,
        int(spent[count - 1]) if count else 0,
    )


def keep_longest(
    left: Float[mx.array, "out terms"], right: Float[mx.array, "terms inner"], count: int
) -> tuple[Float[mx.array, "out {count}"], Float[mx.array, "{count} inner"]]:
    """The `count` longest terms of left · right, longest first, with as much of the length of
    each on the left as on the right, so that both round alike in 16 bits.
    """
    a, b = mx.linalg.norm(left, axis=0), mx.linalg.norm(right, axis=1)
    longest = mx.argsort(-a * b)[:count]
    a, b = mx.maximum(a[longest], 1e-30), mx.maximum(b[longest], 1e-30)
    even = mx.sqrt(b / a)
    return left[:, longest] * even, right[longest] / even[:, None]
