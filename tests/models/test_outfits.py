"""What a model wears: three forms in any order, what is made for them, and what is kept."""

import itertools

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from architectures import tiny
from helpers import assert_close, random_scales, tiny_network, tiny_tokenizer

from mlx_t2.models import PutBeside, SVFModel
from mlx_t2.svf import BesideLinear, Recipe, base_layers, ones

TOKENS = mx.array([[3, 1, 4, 1, 5, 9, 2, 6]])
FORMS = ("live", "beside", "folded")


def standing(model) -> dict:
    """{path: what stands where the base layer is}."""
    modules = dict(model.network.named_modules())
    return {path: modules[path].base for path in model.shapes}


def decomposed(network, **recipe) -> SVFModel:
    model = SVFModel("tiny", network, tiny_tokenizer())
    for _ in model.decompose(Recipe(**recipe)):
        pass
    return model


@pytest.mark.parametrize("order", list(itertools.permutations(FORMS)))
def test_forms_in_any_order_leave_the_base_bit_for_bit(tiny_model, order):
    model, bases = tiny_model, standing(tiny_model)
    base = model.network(TOKENS)
    outcomes = {}
    for seed, form in enumerate([*order, *order]):
        scales = random_scales(model.shapes, seed % 3)
        with model.using(scales, form):
            got = model.network(TOKENS)
            assert (model.form, model.worn) == (form, scales)
        with model.using(scales):
            assert_close(got, np.array(model.network(TOKENS)))
        assert mx.array_equal(outcomes.setdefault((form, seed % 3), got), got).item()
    assert standing(model) == bases
    assert all(standing(model)[path] is layer for path, layer in bases.items())
    assert mx.array_equal(model.network(TOKENS), base).item()


@pytest.mark.parametrize("bits", [16, 4])
def test_a_layer_whose_z_is_one_has_nothing_beside_it(tiny_model, bits):
    model = tiny_model
    path, shape = next(iter(model.shapes.items()))
    scales = ones(model.shapes) | random_scales({path: shape})
    bases = standing(model)
    with model.using(scales, form="beside", bits=bits):
        worn = standing(model)
    assert isinstance(worn[path], BesideLinear)
    assert all(worn[other] is bases[other] for other in bases if other != path)
    base = model.network(TOKENS)
    with model.using(ones(model.shapes), form="beside", bits=bits):
        assert mx.array_equal(model.network(TOKENS), base).item()


def test_each_matrix_is_reported_and_they_are_made_once(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes)
    reports = list(model.put_beside(scales, 4))
    assert [r.path for r in reports] == list(scales)
    assert [r.index for r in reports] == [*range(1, len(scales) + 1)]
    assert all(isinstance(r, PutBeside) and r.total == len(scales) for r in reports)
    outfit = model.make_outfit(scales, "beside", 4)
    assert sum(r.bytes for r in reports) == outfit.nbytes
    same = {path: mx.array(np.array(z)) for path, z in scales.items()}
    assert list(model.put_beside(same, 4)) == []
    assert len(list(model.put_beside(scales, 8))) == len(scales)


def test_scales_that_were_written_into_are_made_anew(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes)
    for _ in model.put_beside(scales, 16):
        pass
    path = next(iter(scales))
    scales[path][0] = 5.0
    with model.using(scales, form="beside"):
        got = model.network(TOKENS)
    with model.using(scales):
        assert_close(got, np.array(model.network(TOKENS)))


def test_another_expert_put_beside_leaves_an_outfit_that_was_made_before(tiny_model):
    model = tiny_model
    one, other = (random_scales(model.shapes, seed) for seed in range(2))
    first = model.make_outfit(one, "beside", 8)
    with model.wearing(first):
        before = model.network(TOKENS)
    second = model.make_outfit(other, "beside", 8)
    for outfit, worn in ((second, other), (first, one), (second, other)):
        with model.wearing(outfit):
            assert model.worn == worn
    with model.wearing(first):
        assert mx.array_equal(model.network(TOKENS), before).item()


def test_stopped_halfway_the_model_wears_what_it_wore(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes)
    base = model.network(TOKENS)
    making = model.put_beside(scales, 4)
    next(making)
    making.close()
    assert mx.array_equal(model.network(TOKENS), base).item()
    assert len(list(model.put_beside(scales, 4))) == len(scales)


@pytest.mark.parametrize("basis_bits", [None, 8, 4])
def test_the_matrices_are_made_of_the_basis_as_it_was_computed(basis_bits):
    exact = decomposed(tiny_network(), bits=32)
    model = decomposed(tiny_network(), bits=basis_bits)
    scales = random_scales(model.shapes)
    with exact.using(scales, form="beside"):
        expected = exact.network(TOKENS)
    with model.using(scales, form="beside"):
        assert mx.array_equal(model.network(TOKENS), expected).item()


@pytest.mark.parametrize("bits", [16, 8, 4])
def test_a_quantised_base_stays_as_it_is(bits):
    network = tiny_network(hidden=64)
    nn.quantize(network, group_size=64, bits=4)
    model = decomposed(network)
    scales, base = random_scales(model.shapes), model.network(TOKENS)
    with model.using(scales):
        live = model.network(TOKENS)
    with model.using(scales, form="beside", bits=bits):
        got = model.network(TOKENS)
    tolerance = {16: 1e-4, 8: 2e-2, 4: 0.3}[bits]
    assert_close(got - base, np.array(live - base), tolerance)
    assert mx.array_equal(model.network(TOKENS), base).item()


def test_stacks_of_weights_stay_live():
    model = decomposed(tiny("qwen3_moe"), targets="all")
    scales = random_scales(model.shapes)
    with model.using(scales):
        live = model.network(TOKENS)
    outfit = model.make_outfit(scales, "beside")
    stacks = {path for path, shape in model.shapes.items() if len(shape) > 1}
    assert stacks
    assert outfit.live.keys() == stacks
    assert outfit.layers.keys() == model.shapes.keys() - stacks
    with model.wearing(outfit):
        assert_close(model.network(TOKENS), np.array(live))


def test_bases_leave_memory_and_come_back():
    model = decomposed(tiny_network(hidden=256))
    scales = random_scales(model.shapes)
    with model.using(scales):
        live = model.network(TOKENS)
        mx.eval(live)
    bases = mx.get_active_memory()
    for _ in model.put_beside(scales, 4):
        pass
    outfit = model.make_outfit(scales, "beside", 4)
    assert mx.get_active_memory() <= bases - model.basis_bytes + outfit.nbytes + 2**16
    with model.using(scales):
        assert mx.array_equal(model.network(TOKENS), live).item()


def test_putting_beside_takes_a_few_matrices_of_memory_at_a_time():
    model = decomposed(tiny_network(layers=4, hidden=256))
    scales = random_scales(model.shapes)
    mx.eval(scales)
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    for _ in model.put_beside(scales, 4):
        pass
    kept = model.make_outfit(scales, "beside", 4).nbytes
    assert mx.get_peak_memory() - before <= kept + 6 * 4 * 256**2


def test_rows_of_a_batch_are_worn_beside_as_one_is(tiny_model):
    model, scales = tiny_model, random_scales(tiny_model.shapes)
    batch = mx.concatenate([TOKENS, TOKENS[:, ::-1], TOKENS])
    with model.using(scales, form="beside"):
        got = model.network(batch)
        one = model.network(batch[1:2])
    assert_close(got[1], np.array(one[0]))
    with model.using(scales):
        assert_close(got, np.array(model.network(batch)))


def test_linear_layers_are_found_as_they_were_loaded_while_changes_are_beside_them(tiny_model):
    before = base_layers(tiny_model.network)
    with tiny_model.using(random_scales(tiny_model.shapes), form="beside"):
        found = base_layers(tiny_model.network)
    assert found.keys() == before.keys()
    assert all(found[path] is layer for path, layer in before.items())
