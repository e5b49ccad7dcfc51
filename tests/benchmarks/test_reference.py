import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close, tiny_network

torch = pytest.importorskip("torch", reason="the extra `reference` is not installed")

from mlx_t2.benchmarks.reference import (  # noqa: E402
    ReferenceTraining,
    as_transformers,
    compose_weight,
)

PROMPTS = [[3, 4, 5, 6, 7], [3, 4, 5, 9]]


@pytest.fixture
def training():
    return ReferenceTraining(as_transformers(tiny_network()))


def test_the_composition_is_the_formula():
    random = np.random.default_rng(0)
    weight, p = random.standard_normal((6, 4)), random.standard_normal(4)
    u, s, vt = np.linalg.svd(weight, full_matrices=False)
    z = 1 / (1 + np.exp(-p))
    expected = u @ np.diag(s * z) @ vt * s.sum() / (s * z).sum()
    factors = torch.linalg.svd(torch.tensor(weight), full_matrices=False)
    assert_close(compose_weight(factors, torch.tensor(p)).numpy(), expected)


def test_equal_scales_are_the_base_weight():
    weight = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    factors = torch.linalg.svd(weight, full_matrices=False)
    assert_close(compose_weight(factors, torch.full((4,), 0.1)).numpy(), weight.numpy())


def test_the_twin_has_the_same_logits():
    network = tiny_network()
    tokens = [[1, 5, 9, 3, 22]]
    twin = as_transformers(network)(torch.tensor(tokens)).logits.detach()
    assert_close(twin.numpy(), np.array(network(mx.array(tokens))))


def test_left_padding_changes_no_completion(training):
    both = training.sample(PROMPTS, 6, [2])
    assert both == [training.sample([prompt], 6, [2])[0] for prompt in PROMPTS]
    assert all(2 not in completion for completion in both)


def test_the_gradient_reaches_p_by_the_dense_weights(training):
    completions, rewards = [[5, 6], [7, 8, 9]], [1.0, -1.0]
    training.gradient(PROMPTS, completions, rewards)
    path, step = next(iter(training.p)), 1e-2
    p = training.p[path]
    at = int(p.grad.abs().argmax())
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            p[at] += sign * step
        training.compose()
        values.append(loss(training.model, PROMPTS, completions, rewards))
        with torch.no_grad():
            p[at] -= sign * step
    assert p.grad[at].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=2e-2)


def loss(model, prompts, completions, rewards) -> float:
    total = 0.0
    for prompt, completion, reward in zip(prompts, completions, rewards, strict=True):
        logits = model(torch.tensor([[*prompt, *completion]])).logits[0].double()
        logprobs = torch.log_softmax(logits, dim=-1)
        for t, token in enumerate(completion):
            total -= reward * logprobs[len(prompt) - 1 + t, token].item() / len(prompts)
    return total


def test_an_update_moves_p_and_the_weights_with_it(training):
    before = {path: p.detach().clone() for path, p in training.p.items()}
    training.update(PROMPTS, [[5, 6], [7]], [1.0, -1.0])
    for path, p in training.p.items():
        assert 1e-3 < (p - before[path]).abs().max().item() < 2.1e-3  # Adam: the learning rate
        expected = compose_weight(training.factors[path], p).detach()
        assert_close(training.weights[path].detach().numpy(), expected.numpy())
