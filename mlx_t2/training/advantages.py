"""Rewards → advantages. Pure functions; know no models.

A reward of None is left out: it has no advantage, and is in nobody's baseline.
"""

import math
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


def of_options(
    rewards_K: Sequence[float],
    policy_K: Sequence[float],
    base_K: Sequence[float] | None = None,
    kl: float = 0.0,
    is_forward: bool = True,
) -> list[float]:
    """The derivative of Σ_i π_i r_i − kl · KL by the score of each option, with π = softmax of
    the scores; exactly zero where there is no penalty and all rewards agree.

        A_i = π_i (r_i − Σ_j π_j r_j)        r_i − kl · log(π_i / π_base,i) in place of r_i
                                             where the penalty is KL(π ‖ π_base),
              less kl · (π_i − π_base,i)     where it is KL(π_base ‖ π)

    Σ_i A_i ∇s_i = Σ_i π_i r_i ∇log π_i is REINFORCE with the expectation taken exactly: no
    baseline makes a difference to it.

    policy_K, base_K: log π and log π_base.
    is_forward: which of the two divergences, as in the paper: KL(π ‖ π_base).

    >>> of_options([1.0, 0.0], [math.log(0.5)] * 2)
    [0.25, -0.25]
    >>> of_options([0.0, 0.0], [math.log(0.5)] * 2)
    [0.0, 0.0]
    """
    policy = [math.exp(log) for log in policy_K]
    values = list(rewards_K)
    if base_K is not None and is_forward:
        values = [r - kl * (p - b) for r, p, b in zip(values, policy_K, base_K, strict=True)]
    mean = math.fsum(p * value for p, value in zip(policy, values, strict=True))
    is_even = len(set(values)) == 1  # exactly zero, whatever the sum rounds to
    advantages = [
        0.0 if is_even else p * (value - mean) for p, value in zip(policy, values, strict=True)
    ]
    if base_K is None or is_forward:
        return advantages
    return [
        a - kl * (p - math.exp(b)) for a, p, b in zip(advantages, policy, base_K, strict=True)
    ]


def divergence_of_options(policy_K: Sequence[float], base_K: Sequence[float]) -> float:
    """KL(π ‖ π_base) over options [nats], from their log-probabilities.

    >>> divergence_of_options([math.log(0.5)] * 2, [math.log(0.5)] * 2)
    0.0
    """
    return math.fsum(math.exp(p) * (p - b) for p, b in zip(policy_K, base_K, strict=True))
