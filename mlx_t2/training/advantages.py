"""Rewards → advantages. Pure functions; know no models."""

from collections.abc import Sequence


def leave_one_out(rewards_G: Sequence[float]) -> list[float]:
    """A_i = r_i − mean of the group's other rewards: unbiased, and zero where all agree.

    Source: Kool et al. 2019; Ahmadian et al. 2024, arXiv:2402.14740, equation 8.
    Differs (3) from the paper, which uses the bare reward, ±1.
    """
    total, others = sum(rewards_G), len(rewards_G) - 1
    if others < 1:
        return [0.0] * len(rewards_G)
    return [reward - (total - reward) / others for reward in rewards_G]
