import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close

from mlx_t2.reading import completion_logprobs
from mlx_t2.svf import ones
from mlx_t2.training import policy_loss
from mlx_t2.training.reinforce import divergence

PROMPTS = [[5, 6, 7, 8], [5, 6, 9]]
COMPLETIONS = [[[3, 4, 2], [9, 2]], [[1, 2], [7, 7, 7, 2]]]
ADVANTAGES = [1.0, -1.0, 0.5, -0.5]


def test_loss_by_hand():
    """Two sequences of 2 and 1 tokens: −(1·(−0.5−1) + (−1)·(−2)) / 2 = −0.25; the penalty as in
    the docstring.
    """
    logprobs, advantages = mx.array([-0.5, -1.0, -2.0]), mx.array([1.0, 1.0, -1.0])
    assert policy_loss(logprobs, None, advantages, 2, 0.0).item() == -0.25
    reference = mx.array([-1.0, -1.0, -1.0])
    loss = policy_loss(logprobs, reference, advantages, 2, 0.1)
    assert loss.item() == pytest.approx(-0.25 + 0.1 * 0.5 * (0.25 + 1.0) / 2)


def test_divergence_by_hand():
    """KL((½, ½) ‖ (¾, ¼)) = ½ ln ⅔ + ½ ln 2, at two positions of which one agrees, over 4
    sequences; and the other way round.
    """
    even, odd = mx.log(mx.array([0.5, 0.5])), mx.log(mx.array([0.75, 0.25]))
    policy, base = mx.stack([even, odd]), mx.stack([odd, odd])
    forward = 0.5 * np.log(2 / 3) + 0.5 * np.log(2)
    backward = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert divergence(policy, base, 4).item() == pytest.approx(forward / 4)
    assert divergence(base, policy, 4).item() == pytest.approx(backward / 4)


def test_kl_gradient_is_that_of_the_divergence():
    """E over the policy of ½Δ² has the gradient of KL(π ‖ π₀): exact expectation over three
    tokens.
    """
    base = mx.array([0.3, -0.2, 0.1])

    def exact(logits):
        policy, reference = (x - mx.logsumexp(x) for x in (logits, base))
        return divergence(policy[None], reference[None], 1)

    def k2_expectation(logits, weights):
        logprobs = logits - mx.logsumexp(logits)
        reference = base - mx.logsumexp(base)
        zero = mx.zeros((1,))
        terms = [
            policy_loss(logprobs[i : i + 1], reference[i : i + 1], zero, 1, 1.0)
            for i in range(3)
        ]
        return (weights * mx.stack(terms)).sum()

    logits = mx.array([1.0, 0.0, -0.5])
    assert_close(mx.grad(k2_expectation)(logits, mx.softmax(logits)), mx.grad(exact)(logits))


def loss_of(model, scales, groups=(0, 1)):
    with model.using(scales):
        logprobs = completion_logprobs(
            model, [PROMPTS[g] for g in groups], [COMPLETIONS[g] for g in groups]
        )
    advantages = [
        ADVANTAGES[2 * g + i] for g in groups for i in range(2) for _ in COMPLETIONS[g][i]
    ]
    return policy_loss(logprobs, None, mx.array(advantages), 4, 0.0)


def test_gradient_of_the_loss_is_the_finite_difference(tiny_model):
    scales = ones(tiny_model.shapes)
    gradient = mx.grad(lambda s: loss_of(tiny_model, s))(scales)
    rng = np.random.default_rng(0)
    direction = {
        k: mx.array(rng.normal(size=v.shape).astype(np.float32)) for k, v in scales.items()
    }
    slope = sum((gradient[k] * direction[k]).sum().item() for k in scales)
    step = 1e-3
    ahead, behind = (
        loss_of(tiny_model, {k: scales[k] + sign * step * direction[k] for k in scales}).item()
        for sign in (1, -1)
    )
    # float32 losses near 1 leave about 1e-4 in a difference over 2e-3
    assert (ahead - behind) / (2 * step) == pytest.approx(slope, rel=1e-2, abs=1e-3)


def test_gradients_of_groups_add_up_to_the_gradient_of_the_batch(tiny_model):
    scales = ones(tiny_model.shapes)
    together = mx.grad(lambda s: loss_of(tiny_model, s))(scales)
    parts = [mx.grad(lambda s, g=g: loss_of(tiny_model, s, (g,)))(scales) for g in (0, 1)]
    for path in scales:
        assert_close(parts[0][path] + parts[1][path], together[path])


def test_only_completion_tokens_carry_loss(tiny_model):
    with tiny_model.using({}):
        logprobs = completion_logprobs(tiny_model, PROMPTS, COMPLETIONS)
    assert logprobs.shape == (sum(len(c) for group in COMPLETIONS for c in group),)
