"""The mixture under routers whose posterior is known."""

import mlx.core as mx
import pytest
from helpers import assert_close

from mlx_t2.adaptation import MixtureStrategy, Router
from mlx_t2.adaptation.head import Head
from mlx_t2.adaptation.mixture import mixed

LABELS = ("kind", "expression", "largest", "other")
CHATS = [[{"role": "user", "content": question}] for question in ("7, 4", "my old plum", "Hi")]


def router_that_says(model, logits):
    """A router whose bias alone decides."""
    width = 32
    head = Head(mx.zeros((4, width)), mx.array(logits), mx.zeros(width), mx.ones(width))
    return Router(LABELS, head, model.name, model.fingerprint("mlp"))


@pytest.mark.parametrize("label", LABELS)
def test_a_certain_router_gives_that_experts_scales_exactly(tiny_model, experts, label):
    router = router_that_says(tiny_model, [200.0 * (label == each) for each in LABELS])
    for adapted in MixtureStrategy(experts, router).adapt(tiny_model, CHATS):
        expected = experts[label].scales if label in experts else {}
        for path, z in adapted.scales.items():
            assert mx.array_equal(z, expected.get(path, mx.ones_like(z)))


def test_the_weights_are_the_posterior_of_the_experts(tiny_model, experts):
    router = router_that_says(tiny_model, [0.0, 1.0, 2.0, 0.5])
    posterior = dict(
        zip(LABELS, mx.softmax(mx.array([0.0, 1.0, 2.0, 0.5])).tolist(), strict=True)
    )
    adapted = MixtureStrategy(experts, router).adapt(tiny_model, CHATS)
    assert len(adapted) == len(CHATS)
    for one in adapted:
        assert one.label is None
        assert dict(one.scores) == pytest.approx(posterior)
        assert dict(one.weights) == pytest.approx({k: posterior[k] for k in experts})
        for path, z in one.scales.items():
            deviations = [
                posterior[k] * (e.scales[path] - 1)
                for k, e in experts.items()
                if path in e.scales
            ]
            assert_close(z, 1 + sum(deviations))


@pytest.mark.parametrize("size", [0.001, 1.0, 1000.0])
def test_a_one_hot_weight_is_exact_for_scales_of_any_size(size):
    z = size * mx.random.normal((3, 50), key=mx.random.key(0))
    assert mx.array_equal(mixed(mx.eye(3), z), z)
    assert mx.array_equal(mixed(mx.zeros((2, 3)), z), mx.ones((2, 50)))
