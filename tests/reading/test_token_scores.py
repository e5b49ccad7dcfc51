"""Log-probabilities of tokens, by hand."""

import math

import mlx.core as mx
import pytest

from mlx_t2.reading import Scored, score_tokens

LOGITS = mx.log(mx.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]]))


def test_scores_are_log_probabilities_with_the_most_probable_first():
    first, second = score_tokens(LOGITS + 3, mx.array([2, 0]), 2).read([2, 1])
    assert first.logprob == pytest.approx(math.log(0.3), abs=1e-6)
    assert [token for token, _ in first.top] == [1, 2]
    assert [math.exp(p) for _, p in first.top] == pytest.approx([0.6, 0.3])
    assert second.top == ((0, pytest.approx(math.log(0.5))),)


def test_who_asks_for_none_gets_none():
    nobody, one = score_tokens(LOGITS, mx.array([2, 0]), 0).read([None, 0])
    assert nobody is None
    assert one == Scored(one.logprob)
    assert one.logprob == pytest.approx(math.log(0.5))


def test_more_than_there_are_tokens_is_all_of_them():
    (one,) = score_tokens(LOGITS[:1], mx.array([0]), 20).read([20])
    assert [token for token, _ in one.top] == [1, 2, 0]
