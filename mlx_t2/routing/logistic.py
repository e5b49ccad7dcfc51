"""Multinomial logistic regression. Knows arrays; knows no models, labels or files."""

from dataclasses import dataclass

import mlx.core as mx
from jaxtyping import Float, Int
from mlx.optimizers import Adam, cosine_decay

from mlx_t2.svf import Arrays


@dataclass(frozen=True)
class LinearHead:
    """p(k | h) = softmax_k [ w_k · (h − mean) / scale + b_k ]."""

    weight: Float[mx.array, "K D"]
    bias: Float[mx.array, " K"]
    mean: Float[mx.array, " D"]
    scale: Float[mx.array, " D"]
    """Standard deviation of each feature over the examples; 1 where it is constant."""

    def logits(self, features: Float[mx.array, "B D"]) -> Float[mx.array, "B K"]:
        """The score of each class, lazily."""
        standard = (features.astype(mx.float32) - self.mean) / self.scale
        return standard @ self.weight.T + self.bias

    def posterior(self, features: Float[mx.array, "B D"]) -> Float[mx.array, "B K"]:
        """The probability of each class, lazily."""
        return mx.softmax(self.logits(features), axis=-1)


def fit_head(
    features: Float[mx.array, "N D"],
    classes: Int[mx.array, " N"],
    n_classes: int,
    *,
    l2: float = 1e-2,
    steps: int = 300,
    lr: float = 0.05,
) -> LinearHead:
    """Minimise mean cross-entropy + l2/2 ‖w‖² over standardised features.

    Convex and started from zero, so there is no seed: the same examples give the same head.
    """
    mean = mx.mean(features, axis=0)
    # of a constant feature std is only nearly 0
    varies = mx.max(features, axis=0) > mx.min(features, axis=0)
    scale = mx.where(varies, mx.std(features, axis=0), 1)
    standard = (features - mean) / scale
    target = (classes[:, None] == mx.arange(n_classes)).astype(mx.float32)

    def loss(head: Arrays) -> mx.array:
        logits = standard @ head["weight"].T + head["bias"]
        surprise = mx.logsumexp(logits, axis=-1) - mx.sum(target * logits, axis=-1)
        return mx.mean(surprise) + l2 / 2 * mx.sum(head["weight"] ** 2)

    head = {"weight": mx.zeros((n_classes, features.shape[1])), "bias": mx.zeros((n_classes,))}
    optimiser, gradient = Adam(cosine_decay(lr, steps), bias_correction=True), mx.grad(loss)
    for _ in range(steps):
        head = optimiser.apply_gradients(gradient(head), head)
        mx.eval(head, optimiser.state)  # one step's graph at a time
    return LinearHead(head["weight"], head["bias"], mean, scale)
