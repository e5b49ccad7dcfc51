"""Rows of unlike lengths in one cache: what each sees is what it sees alone."""

import mlx.core as mx
from helpers import assert_close

from mlx_t2.reading import merge_caches, prefill

LONG = [[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], [5, 6, 7, 8]]
SHORT = [[20, 21, 22], [23, 24, 25, 26, 27]]


def merged(model):
    parts = [prefill(model, prompts) for prompts in (LONG, SHORT)]
    return model.own(merge_caches([part.caches for part in parts]))


def scores(model, caches, prompts) -> mx.array:
    last = mx.array([prompt[-1:] for prompt in prompts])
    return model.logits_at(last, caches, mx.arange(len(prompts)))


def alone(model, prompts) -> mx.array:
    return mx.concatenate([model.network(mx.array([p]))[:, -1] for p in prompts])


def test_rows_of_unlike_batches_score_in_one_batch_what_they_score_alone(tiny_model):
    prompts = [*LONG, *SHORT]
    assert_close(scores(tiny_model, merged(tiny_model), prompts), alone(tiny_model, prompts))


def test_columns_in_front_of_every_row_go_with_the_longest_row(tiny_model):
    caches = merged(tiny_model)
    assert {cache.used for cache in caches} == {11}
    caches.take([3, 2, 3])
    assert {cache.used for cache in caches} == {4}
    prompts = [SHORT[1], SHORT[0], SHORT[1]]
    assert_close(scores(tiny_model, caches, prompts), alone(tiny_model, prompts))
    caches.take([1])
    again = [[*SHORT[0], 30]]
    assert_close(scores(tiny_model, caches, again), alone(tiny_model, again))


def test_rows_without_padding_take_no_mask_and_score_the_same(tiny_model):
    caches = prefill(tiny_model, [[5, 6, 7, 8], [9, 8, 7, 6]]).caches
    assert all(cache.make_mask(1) is None for cache in caches)
    assert all(cache.make_mask(2) is not None for cache in caches)
    last = [[5, 6, 7, 8], [9, 8, 7, 6]]
    assert_close(scores(tiny_model, caches, last), alone(tiny_model, last))
