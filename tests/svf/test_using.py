"""One block of scales inside another."""

import mlx.core as mx
import numpy as np
import pytest
from helpers import random_scales

from mlx_t2.errors import ConfigError, ShapeError
from mlx_t2.svf import Work

TOKENS = mx.array([[3, 1, 4, 1, 5, 9, 2, 6]])


@pytest.mark.parametrize("inner", ["live", "beside", "folded"])
@pytest.mark.parametrize(
    ("outer", "bits"),
    [("live", 16), ("beside", 16), ("beside", 4), ("folded", 16), ("folded", 8)],
)
def test_a_block_inside_another_is_as_if_alone_and_the_outer_one_comes_back(
    tiny_model, inner, outer, bits
):
    model = tiny_model
    a, b = (random_scales(model.shapes, seed) for seed in (1, 2))
    base = model.network(TOKENS)
    with model.using(a, form=inner):
        a_alone = model.network(TOKENS)
    with model.using(b, form=outer, bits=bits):
        b_alone = model.network(TOKENS)
    assert not mx.array_equal(a_alone, b_alone).item()
    with model.using(b, form=outer, bits=bits):
        with model.using(a, form=inner):
            assert mx.array_equal(model.network(TOKENS), a_alone).item()
            with model.using({}):
                assert mx.array_equal(model.network(TOKENS), base).item()
            assert mx.array_equal(model.network(TOKENS), a_alone).item()
        assert mx.array_equal(model.network(TOKENS), b_alone).item()
        with pytest.raises(ZeroDivisionError), model.using(a, form=inner):
            1 / 0  # noqa: B018
        assert mx.array_equal(model.network(TOKENS), b_alone).item()
    assert mx.array_equal(model.network(TOKENS), base).item()


@pytest.mark.parametrize("outer", ["beside", "folded"])
def test_a_block_that_cannot_begin_leaves_the_one_around_it(tiny_model, outer):
    model = tiny_model
    a, b = (random_scales(model.shapes, seed) for seed in (1, 2))
    base = model.network(TOKENS)
    with model.using(b, form=outer, bits=8):
        folded = model.network(TOKENS)
        for scales, settings_ in (
            (a, {"form": "folded", "bits": 4}),
            (a, {"form": "folded", "bits": 7}),
            (a, {"form": "beside", "bits": 6}),
            ({"nowhere": mx.ones((3,))}, {}),
            (random_scales(model.shapes, rows=2), {"form": "folded"}),
            (random_scales(model.shapes, rows=2), {"form": "beside"}),
        ):
            with pytest.raises((ConfigError, ShapeError)), model.using(scales, **settings_):
                raise AssertionError("the block began")
            assert mx.array_equal(model.network(TOKENS), folded).item()
    assert mx.array_equal(model.network(TOKENS), base).item()


def test_scales_on_some_layers_fold_those_and_leave_the_rest_to_the_base(tiny_model):
    model = tiny_model
    path, shape = next(iter(model.shapes.items()))
    modules = dict(model.network.named_modules())
    bases = {path: modules[path].base for path in model.shapes}
    with model.using(random_scales({path: shape}), form="folded"):
        kept = {p for p, base in bases.items() if modules[p].base is base}
        assert kept == set(bases) - {path}
    assert all(modules[p].base is base for p, base in bases.items())


@pytest.mark.parametrize("form", ["beside", "folded"])
def test_rows_with_their_own_scales_are_always_live(tiny_model, form):
    rows = random_scales(tiny_model.shapes, rows=2)
    assert tiny_model.form_for(rows, Work(10**6, 10**6)).form == "live"
    with (
        pytest.raises(ConfigError, match=f"^{form}: each row wears its own"),
        tiny_model.using(rows, form=form),
    ):
        pass
    assert tiny_model.worn == {}


def test_scales_inside_folded_ones_are_theirs_alone_and_the_folded_come_back(tiny_model):
    tokens = mx.array([[3, 1, 4, 1, 5]])
    base = tiny_model.network(tokens)
    one, two = (random_scales(tiny_model.shapes, seed) for seed in range(2))
    with tiny_model.using(one):
        alone = np.array(tiny_model.network(tokens))
    with tiny_model.using(two, form="folded"):
        before = tiny_model.network(tokens)
        assert tiny_model.form == "folded"
        with tiny_model.using(one):
            assert np.array_equal(np.array(tiny_model.network(tokens)), alone)
        with tiny_model.using({}):
            assert mx.array_equal(tiny_model.network(tokens), base).item()
        assert mx.array_equal(tiny_model.network(tokens), before).item()
        assert tiny_model.worn.keys() == two.keys()
    assert mx.array_equal(tiny_model.network(tokens), base).item()
