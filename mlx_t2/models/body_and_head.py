"""The two parts of a network: what makes hidden states, and what scores them."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn


def find_body_and_head(network: nn.Module) -> tuple[Callable, Callable] | None:
    """(body, head) with head(body(x)) = network(x), or None where that does not hold.

    Some architectures scale or cap the logits outside the head; one token shows it. So the
    network is run, and not before it has to be: its weights may be on disk still.
    """
    body = network.get("model")
    if body is None:
        return None
    head: Any = network.get("lm_head", getattr(body.get("embed_tokens"), "as_linear", None))
    if head is None or isinstance(head, mx.array):
        return None
    token = mx.array([[0]])
    try:
        is_split = mx.array_equal(head(body(token)), network(token), equal_nan=True).item()
    except (TypeError, ValueError, AttributeError):
        return None
    return (body, head) if is_split else None
