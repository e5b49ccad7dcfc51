"""Key-value caches belong to the scales they were filled under, and are read under them."""

import copy

import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close, random_scales
from mlx_lm.models.cache import BatchKVCache

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


def filled(model, scales, prompt=PROMPT, form="live"):
    with model.using(scales, form=form):
        model.extend(prompt, cache := model.new_cache())
    return cache


def batch_of(model, rows: int) -> OwnedCache:
    """Caches of many sequences, for the scales worn now."""
    return model.own([BatchKVCache([0] * rows) for _ in model.new_cache()])


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
    "a layer less": lambda own: dict(list(own.items())[1:]),
    "a row": lambda own: {path: 2 - z[None] for path, z in own.items()},
}


@pytest.mark.parametrize("others", OTHERS)
@pytest.mark.parametrize("use", USES)
def test_a_cache_is_read_under_its_own_scales_whatever_is_worn(tiny_model, use, others):
    model, own = tiny_model, random_scales(tiny_model.shapes)
    cache, same = filled(model, own), filled(model, own)
    before = model.network(NEXT)
    with model.using(worn := OTHERS[others](own)):
        outside = model.network(NEXT)
        got = USES[use](model, cache)
        assert model.worn == worn
        assert mx.array_equal(model.network(NEXT), outside)  # the layers wear it again
    assert mx.array_equal(model.network(NEXT), before)
    with model.using(own):
        expected = USES[use](model, same)
    assert {layer.offset for layer in cache} == {7}
    if use != "extend":
        assert mx.array_equal(got, expected)
    tokens = whole(PROMPT, NEXT, NEXT)
    assert_close(scores(model, {}, cache), alone(model, own, tokens))


@pytest.mark.parametrize("others", [random_scales, ones], ids=["an expert", "ones"])
def test_a_cache_of_the_base_is_read_by_the_base_bit_for_bit(tiny_model, others):
    model = tiny_model
    expected = scores(model, {}, filled(model, {}))
    assert mx.array_equal(scores(model, others(model.shapes), filled(model, {})), expected)


def test_layers_wear_what_is_worn_again_after_an_error(tiny_model):
    model, own = tiny_model, random_scales(tiny_model.shapes)
    cache, base = filled(model, own), model.network(NEXT)
    with pytest.raises(TypeError):
        model.extend(None, cache)
    assert mx.array_equal(model.network(NEXT), base)


FORMS = ("live", "beside", "folded")
PAIRS = [(one, other) for one in FORMS for other in FORMS if (one, other) != ("live", "live")]


@pytest.mark.parametrize("forms", PAIRS)
def test_scales_are_the_same_scales_in_every_form(tiny_model, forms):
    model, own = tiny_model, random_scales(tiny_model.shapes)
    cache = filled(model, own, form=forms[0])
    got = scores(model, copied(own), cache, form=forms[1])
    assert_close(got, alone(model, own, whole(PROMPT, NEXT)))


@pytest.mark.parametrize("form", ["beside", "folded"])
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("others", [*sorted(OTHERS.keys() - {"none"}), "one number else"])
def test_a_cache_of_other_scales_is_read_live_while_these_are_in_another_form(
    tiny_model, use, others, form
):
    model, own = tiny_model, random_scales(tiny_model.shapes)
    cached = (OTHERS | {"one number else": changed})[others](own)
    cache, same = filled(model, cached), filled(model, cached)
    with model.using(own, form=form):
        worn = model.network(NEXT)
        got = USES[use](model, cache)
        assert mx.array_equal(model.network(NEXT), worn)
    with model.using(cached):
        expected = USES[use](model, same)
    assert {layer.offset for layer in cache} == {7}
    if use != "extend":
        assert mx.array_equal(got, expected)


@pytest.mark.parametrize("form", ["beside", "folded"])
@pytest.mark.parametrize("use", USES)
def test_a_cache_of_the_base_is_read_by_the_base_while_others_are_in_another_form(
    tiny_model, use, form
):
    model, own = tiny_model, random_scales(tiny_model.shapes)
    expected = USES[use](model, filled(model, {}))
    cache = filled(model, {})
    with model.using(own, form=form):
        worn = model.network(NEXT)
        got = USES[use](model, cache)
        assert mx.array_equal(model.network(NEXT), worn)  # they hold the others again
    assert {layer.offset for layer in cache} == {7}
    if use != "extend":
        assert mx.array_equal(got, expected)


def test_a_cache_belongs_to_the_scales_it_was_made_under_not_to_those_it_is_first_used_under(
    tiny_model,
):
    cache = tiny_model.new_cache()
    with tiny_model.using(random_scales(tiny_model.shapes)):
        tiny_model.extend(PROMPT, cache)
    got = scores(tiny_model, {}, cache)
    assert_close(got, alone(tiny_model, {}, whole(PROMPT, NEXT)))


def test_a_cache_is_made_for_scales_that_are_not_worn(tiny_model):
    own = random_scales(tiny_model.shapes)
    cache = tiny_model.own(list(tiny_model.new_cache()), own)
    tiny_model.extend(PROMPT, cache)
    got = scores(tiny_model, {}, cache)
    assert_close(got, alone(tiny_model, own, whole(PROMPT, NEXT)))


def test_a_deep_copy_of_a_cache_belongs_to_the_same_scales(tiny_model):
    model, own = tiny_model, random_scales(tiny_model.shapes)
    twin = copy.deepcopy(filled(model, own))
    assert_close(scores(model, {}, twin), alone(model, own, whole(PROMPT, NEXT)))


@pytest.mark.parametrize("is_inside", [True, False], ids=["inside the block", "after it"])
def test_gradients_flow_to_the_scales_of_a_cache(tiny_model, is_inside):
    """Through what it holds and through what reads it, in the block that made it or after."""
    model, own = tiny_model, random_scales(tiny_model.shapes, spread=0.1)

    def cached(scales):
        with model.using(scales):
            model.extend(PROMPT, cache := model.new_cache())
            if is_inside:
                return model.logits_at(NEXT, cache, LAST)[0, 7]
        return model.logits_at(NEXT, cache, LAST)[0, 7]

    def plain(scales):
        return alone(model, scales, whole(PROMPT, NEXT))[0, 7]

    got, expected = mx.grad(cached)(own), mx.grad(plain)(own)
    for path in own:
        assert mx.abs(expected[path]).max().item() > 0
        assert_close(got[path], expected[path])


# Rows with scales of their own


def rows_filled(model, scales) -> OwnedCache:
    with model.using(scales):
        model.extend(BATCH, cache := batch_of(model, 3))
    return cache


def mixed(model):
    """Some layers wear one z for all rows, the others one per row."""
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
    cache.take(kept)
    tokens = mx.array([[7, 8]] * len(kept))
    got = scores(model, {}, cache, tokens)
    for index, row in enumerate(kept):
        text = whole(BATCH[row : row + 1], tokens[index : index + 1])
        assert_close(got[index], alone(model, row_of(model, scales, row), text)[0])


def test_one_shared_z_stays_the_same_scales_whichever_rows_are_taken(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes)
    cache = rows_filled(model, scales)
    cache.take([2, 0])
    assert all(cache.scales[path] is z for path, z in scales.items())
    with model.using(scales, form="folded"):
        model.extend(mx.array([[7], [8]]), cache)


def test_taking_again_and_again_is_taking_once(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes, rows=3)
    step_by_step, at_once = rows_filled(model, scales), rows_filled(model, scales)
    step_by_step.take([2, 1, 0])
    step_by_step.take([0, 2])
    at_once.take([2, 0])
    tokens = mx.array([[7], [8]])
    got = scores(model, {}, step_by_step, tokens)
    assert mx.array_equal(got, scores(model, {}, at_once, tokens)).item()


def test_taking_rows_changes_neither_what_is_worn_nor_what_was_given(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes, rows=3)
    with model.using(scales):
        model.extend(BATCH, cache := batch_of(model, 3))
        cache.take([1])
        assert all(model.worn[path] is z for path, z in scales.items())
    assert {z.shape for z in scales.values()} == {(3, 32)}
