"""Rewards → advantages. Pure functions; know no models.

A reward of None is left out: it has no advantage, and is in nobody's baseline.
"""

from collections.abc import Sequence
from statistics import fmean

Rewards = Sequence[float | None]


def leave_one_out(rewards_G: Rewards) -> list[float]:
    """A_i = r_i − mean of the group's other rewards: unbiased, and zero where all agree.

    >>> leave_one_out([1.0, 0.0, 0.0])
    [1.0, -0.5, -0.5]
    >>> leave_one_out([1.0, 1.0, None])
    [0.0, 0.0, 0.0]

    Source: Kool et al. 2019; Ahmadian et al. 2024, arXiv:2402.14740, equation 8.
    Differs (3): the paper takes the bare reward, ±1.
    """
    counted = [reward for reward in rewards_G if reward is not None]
    total, others = sum(counted), len(counted) - 1
    if others < 1 or len(set(counted)) == 1:  # exactly zero, whatever the sum rounds to
        return [0.0] * len(rewards_G)
    return [0.0 if r is None else r - (total - r) / others for r in rewards_G]


def by_group(rewards_P_G: Sequence[Rewards]) -> list[list[float]]:
    """`leave_one_out` within every group."""
    return [leave_one_out(rewards_G) for rewards_G in rewards_P_G]


def against_batch(rewards_P_G: Sequence[Rewards]) -> list[list[float]]:
    """A_i = r_i − mean of all rewards of the step: works for one completion per problem too.

    Source: Williams 1992, with the batch's mean as reinforcement baseline.
    """
    counted = [r for rewards_G in rewards_P_G for r in rewards_G if r is not None]
    if len(set(counted)) < 2:
        return [[0.0] * len(rewards_G) for rewards_G in rewards_P_G]
    mean = fmean(counted)
    return [[0.0 if r is None else r - mean for r in rewards_G] for rewards_G in rewards_P_G]


def without_baseline(rewards_P_G: Sequence[Rewards]) -> list[list[float]]:
    """A_i = r_i: the paper's, with rewards of +1 for a right completion and −1 for a wrong one.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2.
    """
    return [[0.0 if r is None else r for r in rewards_G] for rewards_G in rewards_P_G]


def overlong_penalty(length: int, longest: int, buffer: int) -> float:
    """0 up to `longest − buffer` tokens, then falling to −1 at `longest`.

    Source: Yu et al. 2025 (DAPO), arXiv:2503.14476, equation 13.
    """
    return -max(0, length - (longest - buffer)) / buffer if buffer else 0.0
