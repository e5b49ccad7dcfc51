"""The REINFORCE objective, as functions of arrays. Knows no models and no tasks."""

import mlx.core as mx
from jaxtyping import Float


def policy_loss(
    logprobs: Float[mx.array, " N"],
    reference: Float[mx.array, " N"] | None,
    advantages: Float[mx.array, " N"],
    sequences: int,
    kl: float,
) -> Float[mx.array, ""]:
    """The loss whose gradient is the policy gradient.

        loss = −(1/S) Σ_n A_n log π_n  +  kl · (1/S) Σ_n ½ (log π_n − log π_base,n)²

    n runs over the completion tokens of S sequences; A_n is the advantage of the sequence that
    token n belongs to, a constant. On-policy, the gradient of the second term is that of KL(π ‖
    π_base) (the k2 estimator).

    >>> logprobs, advantages = mx.array([-0.5, -2.0]), mx.array([1.0, -1.0])
    >>> policy_loss(logprobs, None, advantages, sequences=2, kl=0.0).item()
    -0.75
    >>> policy_loss(logprobs, mx.array([-0.5, -1.0]), advantages, 2, kl=0.5).item()
    -0.625

    reference: log π_base of the same tokens; None leaves the penalty out.
    sequences: all that were sampled, those dropped for lack of signal included, so that the
        size of a step does not depend on how many were dropped or on how long they are.
    Source: Williams 1992; Sun, Cetin & Tang 2025, section 3.2; k2: Schulman 2020, Tang & Munos
    2025 (2506.09477).
    Differs (16): the paper's penalty is the whole divergence, see `divergence`.
    """
    loss = -(advantages * logprobs).sum() / sequences
    if reference is None:
        return loss
    change = logprobs - mx.stop_gradient(reference)
    return loss + kl * (0.5 * change * change).sum() / sequences


def divergence(
    one: Float[mx.array, "N vocabulary"], other: Float[mx.array, "N vocabulary"], sequences: int
) -> Float[mx.array, ""]:
    """Σ_n KL(one_n ‖ other_n) / sequences, summed over the whole vocabulary at each position.

    With one = π and other = π_base it is the paper's penalty; the other way round it is what
    the reference code computes (`F.kl_div(log π, log π_base, log_target=True)`).

    Shapes: log-probabilities, float32.
    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2; self-adaptive-llms at
    03a41ae, `optim_modules/reinforce.py`.
    """
    return (mx.exp(one) * (one - other)).sum() / sequences
