"""The linear head on toys whose answer is known."""

import mlx.core as mx
import pytest
from helpers import assert_close

from mlx_t2.routing.logistic import fit_head


def clusters(seed=0, each=30, classes=4, width=16):
    """Separable: class k lies around 5 e_k, on features of very different sizes and offsets."""
    noise = mx.random.normal((classes * each, width), key=mx.random.key(seed))
    labels = mx.arange(classes * each) % classes
    features = noise * 0.5 + 5 * mx.eye(width)[labels]
    return features * 10 ** (mx.arange(width) % 4) - 7, labels


def test_a_separable_toy_is_learnt_perfectly():
    features, labels = clusters()
    head = fit_head(features, labels, 4)
    unseen, truth = clusters(seed=1)
    assert mx.array_equal(mx.argmax(head.posterior(features), axis=-1), labels)
    assert mx.array_equal(mx.argmax(head.posterior(unseen), axis=-1), truth)


def test_the_same_examples_give_the_same_head():
    first, second = fit_head(*clusters(), 4), fit_head(*clusters(), 4)
    assert mx.array_equal(first.weight, second.weight)
    assert mx.array_equal(first.bias, second.bias)


def test_probabilities_sum_to_one():
    features, labels = clusters()
    posterior = fit_head(features, labels, 4).posterior(100 * features)
    assert_close(posterior.sum(axis=-1), mx.ones(len(labels)))
    assert mx.all(posterior >= 0)


def test_the_minimum_is_found():
    """At the minimum the gradient of the bias, mean(p) − class shares, is zero."""
    features, labels = clusters()
    posterior = fit_head(
        features + mx.random.normal(features.shape, key=mx.random.key(5)), labels, 4
    )
    shares = mx.mean(posterior.posterior(features), axis=0)
    assert_close(shares, mx.full((4,), 0.25), tolerance=0.02)


def test_a_feature_that_never_changes_does_no_harm():
    features, labels = clusters()
    head = fit_head(
        mx.concatenate([features, mx.full((len(labels), 1), 3e4)], axis=1), labels, 4
    )
    assert head.scale[-1].item() == 1
    assert mx.all(mx.isfinite(head.weight))


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_size_of_features_does_not_matter(factor):
    features, labels = clusters()
    plain, scaled = fit_head(features, labels, 4), fit_head(features * factor, labels, 4)
    # Rounding in the standardised features grows over 300 steps of Adam.
    assert_close(scaled.posterior(features * factor), plain.posterior(features), tolerance=1e-3)
