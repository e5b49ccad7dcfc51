"""Key-value caches belong to the scales that they were filled under."""

import copy

import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close, random_scales
from mlx_lm.models.cache import BatchKVCache

from mlx_t2.errors import ModelError
from mlx_t2.models import OwnedCache
from mlx_t2.svf import ones

PROMPT, NEXT = mx.array([[3, 1, 4, 1, 5]]), mx.array([[9, 2]])
LAST = mx.array([1])
BATCH = mx.array([[3, 1, 4], [1, 5, 9], [2, 6, 5]])
USES = {
    "hidden": lambda model, cache: model.hidden(NEXT, cache),
    "extend": lambda model, cache: model.extend(NEXT, cache),
    "logits": lambda model, cache: model.logits_at(NEXT, cache, LAST),
}


def refused():
    return pytest.raises(ModelError, match=r"^key-value cache: it was filled under scales on")


def filled(model, scales, prompt=PROMPT, form="live"):
    with model.using(scales, form=form):
        model.extend(prompt, cache := model.new_cache())
    return cache


def batch_of(model, rows: int) -> OwnedCache:
    """Caches of many sequences, for the scales worn now."""
    return model.owned([BatchKVCache([0] * rows) for _ in model.new_cache()])


def scores(model, scales, cache=None, tokens=NEXT, form="live") -> mx.array:
    """Of the last column of each row."""
    columns = tokens.shape[1]
    last = columns * mx.arange(tokens.shape[0]) + columns - 1
    with model.using(scales, form=form):
        return model.logits_at(tokens, cache, last)


def alone(model, scales, tokens) -> mx.array:
    """Without a cache."""
    return scores(model, scales, tokens=tokens)


def whole(*parts) -> mx.array:
    return mx.concatenate(parts, axis=1)


def copied(scales):
    """Other arrays of the same numbers."""
    return {path: mx.array(np.array(z)) for path, z in scales.items()}


def changed(scales):
    """One number of one layer is another."""
    path = list(scales)[-1]
    z = mx.array(np.array(scales[path]))
    z[(0,) * z.ndim] = z[(0,) * z.ndim] * 1.0001
    return scales | {path: z}


OTHERS = {
    "none": lambda own: {},
    "another's": lambda own: {path: 2 - z for path, z in own.items()},
    "one number else": changed,
    "a layer less": lambda own: dict(list(own.items())[1:]),
    "a row": lambda own: {path: z[None] for path, z in own.items()},
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("others", OTHERS)
def test_a_cache_is_refused_under_other_scales_and_still_right_under_its_own(
    tiny_model, use, others
):
    model, own = tiny_model, random_scales(tiny_model.shapes)
    cache = filled(model, own)
    with model.using(OTHERS[others](own)), refused():
        USES[use](model, cache)
    assert {layer.offset for layer in cache} == {5}
    assert_close(scores(model, own, cache), alone(model, own, whole(PROMPT, NEXT)))


# Ones give the base's numbers, but as scales they are others: nobody looks at what they are.
@pytest.mark.parametrize("others", [random_scales, ones], ids=["an expert", "ones"])
@pytest.mark.parametrize("use", USES)
def test_a_cache_of_the_base_is_refused_under_any_scales(tiny_model, use, others):
    model = tiny_model
    cache = filled(model, {})
    with model.using(others(model.shapes)), refused():
        USES[use](model, cache)
    assert_close(scores(model, {}, cache), alone(model, {}, whole(PROMPT, NEXT)))


@pytest.mark.parametrize("use", USES)
def test_a_cache_serves_the_same_scales_and_equal_ones(tiny_model, use):
    model, own = tiny_model, random_scales(tiny_model.shapes)
    tokens = whole(PROMPT, NEXT)
    for scales in (own, dict(reversed(own.items())), copied(own)):
        cache = filled(model, own)
        with model.using(scales):
            got = USES[use](model, cache)
        assert {layer.offset for layer in cache} == {7}
        with model.using(own):
            expected = model.hidden(tokens)[:, 5:]
        if use == "logits":
            assert_close(got, alone(model, own, tokens))
        elif use == "hidden":
            assert_close(got, expected)


@pytest.mark.parametrize(
    "forms", [("live", "folded"), ("folded", "live"), ("folded", "folded")]
)
def test_live_and_folded_scales_are_the_same_scales(tiny_model, forms):
    model, own = tiny_model, random_scales(tiny_model.shapes)
    cache = filled(model, own, form=forms[0])
    got = scores(model, own, cache, form=forms[1])
    assert_close(got, alone(model, own, whole(PROMPT, NEXT)))
    with refused():
        scores(model, changed(own), cache, form=forms[1])


def test_a_cache_of_an_outer_block_is_refused_inside_the_inner_one_and_works_again_after(
    tiny_model,
):
    model = tiny_model
    outer, inner = (random_scales(model.shapes, seed) for seed in (1, 2))
    with model.using(outer):
        model.extend(PROMPT, cache := model.new_cache())
        with model.using(inner), refused():
            model.extend(NEXT, cache)
        with model.using({}), refused():
            model.extend(NEXT, cache)
        model.extend(NEXT, cache)
    assert {layer.offset for layer in cache} == {7}


def test_a_cache_belongs_to_the_scales_it_was_made_under_not_to_those_it_is_first_used_under(
    tiny_model,
):
    cache = tiny_model.new_cache()
    with tiny_model.using(random_scales(tiny_model.shapes)), refused():
        tiny_model.extend(PROMPT, cache)


def test_a_deep_copy_of_a_cache_belongs_to_the_same_scales(tiny_model):
    model, own = tiny_model, random_scales(tiny_model.shapes)
    twin = copy.deepcopy(filled(model, own))
    with refused():
        scores(model, {}, twin)
    assert_close(scores(model, own, twin), alone(model, own, whole(PROMPT, NEXT)))


# Rows with scales of their own


def rows_filled(model, scales) -> OwnedCache:
    with model.using(scales):
        model.extend(BATCH, cache := batch_of(model, 3))
    return cache


def mixed(model):
    """Some layers wear one z for all rows, the others one a row."""
    return {
        path: z if index % 2 else random_scales({path: model.shapes[path]}, index)[path]
        for index, (path, z) in enumerate(random_scales(model.shapes, rows=3).items())
    }


def row_of(model, scales, row: int):
    return {
        path: z[row] if z.ndim > len(model.shapes[path]) else z for path, z in scales.items()
    }


MAKERS = {
    "shared": lambda model: random_scales(model.shapes),
    "rows": lambda model: random_scales(model.shapes, rows=3),
    "mixed": mixed,
}


@pytest.mark.parametrize("kept", [[0, 1, 2], [2, 0, 1], [1, 2], [2], [0, 0, 2, 2]])
@pytest.mark.parametrize("maker", MAKERS)
def test_rows_that_are_taken_keep_their_keys_their_values_and_their_scales(
    tiny_model, maker, kept
):
    model = tiny_model
    scales = MAKERS[maker](model)
    cache = rows_filled(model, scales)
    cache.take(mx.array(kept))
    tokens = mx.array([[7, 8]] * len(kept))
    got = scores(model, cache.scales, cache, tokens)
    for index, row in enumerate(kept):
        text = whole(BATCH[row : row + 1], tokens[index : index + 1])
        assert_close(got[index], alone(model, row_of(model, scales, row), text)[0])


@pytest.mark.parametrize("kept", [[2, 0, 1], [1, 2], [2], [0, 0, 2, 2]])
@pytest.mark.parametrize("maker", ["rows", "mixed"])
def test_rows_that_are_taken_are_refused_under_the_scales_of_before(tiny_model, maker, kept):
    model = tiny_model
    scales = MAKERS[maker](model)
    cache = rows_filled(model, scales)
    cache.take(mx.array(kept))
    with refused():
        scores(model, scales, cache, mx.array([[7, 8]] * len(kept)))


def test_rows_in_another_order_one_of_them_or_none_are_other_scales(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes, rows=3)
    cache = rows_filled(model, scales)
    for rows in (mx.array([1, 0, 2]), mx.array([0, 1]), mx.array([0, 1, 2, 2])):
        with refused():
            scores(model, {p: z[rows] for p, z in scales.items()}, cache, BATCH)
    for others in (row_of(model, scales, 0), {}):
        with refused():
            scores(model, others, cache, BATCH)
    with model.using(copied(scales)):
        model.extend(BATCH, cache)


def test_one_shared_z_stays_the_same_scales_whichever_rows_are_taken(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes)
    cache = rows_filled(model, scales)
    cache.take(mx.array([2, 0]))
    assert all(cache.scales[path] is z for path, z in scales.items())
    with model.using(scales):
        model.extend(mx.array([[7], [8]]), cache)


def test_taking_again_and_again_is_taking_once(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes, rows=3)
    step_by_step, at_once = rows_filled(model, scales), rows_filled(model, scales)
    step_by_step.take(mx.array([2, 1, 0]))
    step_by_step.take(mx.array([0, 2]))
    at_once.take(mx.array([2, 0]))
    tokens = mx.array([[7], [8]])
    # each of the two is accepted under the other's scales
    got = scores(model, at_once.scales, step_by_step, tokens)
    assert mx.array_equal(got, scores(model, step_by_step.scales, at_once, tokens)).item()


def test_taking_rows_changes_neither_what_is_worn_nor_what_was_given(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes, rows=3)
    with model.using(scales):
        model.extend(BATCH, cache := batch_of(model, 3))
        cache.take(mx.array([1]))
        assert all(model.worn[path] is z for path, z in scales.items())
        with refused():
            model.extend(BATCH, cache)
    assert {z.shape for z in scales.values()} == {(3, 32)}
