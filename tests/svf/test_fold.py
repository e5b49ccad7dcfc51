import sys

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from helpers import assert_close, random_scales
from mlx_lm.models.mla import MultiLinear

from mlx_t2.errors import ConfigError
from mlx_t2.svf import (
    SVFLinear,
    SVFMultiLinear,
    cheaper_form,
    decompose_weight,
    dense_weight,
    fold,
    unfold,
)

_WARNING = r"folding into 4 bits realises \d+ % of the intended change \(correlation 0\.\d\d"


def worn_layer(out: int, inner: int, bits: int | None = None) -> SVFLinear:
    base = nn.Linear(inner, out, bias=False)
    base.weight = mx.random.normal((out, inner), key=mx.random.key(0))
    if bits:
        base = nn.QuantizedLinear.from_linear(base, 64, bits)
    layer = SVFLinear(base, decompose_weight(dense_weight(base)))
    layer.wear(random_scales({"": layer.shape}, spread=0.03)[""])
    return layer


def test_four_bits_are_refused_and_forced_say_what_is_left():
    layer = worn_layer(256, 128, bits=4)
    with pytest.raises(ConfigError, match=r"bits: got 4, expected 16 or 8: .* Force it"):
        fold([layer], bits=4)
    with pytest.warns(UserWarning, match=_WARNING):
        bases = fold([layer], bits=4, force=True)
    unfold([layer], bases)


@pytest.mark.parametrize(("bits", "tolerance"), [(16, 1e-6), (8, 1e-2)])
def test_a_quantised_base_folds_to_safe_bits(bits, tolerance):
    layer = worn_layer(256, 128, bits=4)
    expected = np.array(layer.folded_weight())
    base = layer.base
    bases = fold([layer], bits)
    assert isinstance(layer.base, nn.Linear if bits == 16 else nn.QuantizedLinear)
    assert_close(dense_weight(layer.base), expected, tolerance)
    unfold([layer], bases)
    assert layer.base is base


def test_one_token_is_worth_no_folding_and_many_are():
    layers = [worn_layer(512, 256)]
    assert cheaper_form(layers, tokens=1, steps=0) == "live"
    assert cheaper_form(layers, tokens=10**6, steps=10**6) == "folded"


def test_rows_with_their_own_scales_are_never_folded(tiny_model):
    rows = random_scales(tiny_model.shapes, rows=2)
    assert tiny_model.form_for(rows, 10**6, 10**6) == "live"
    with (
        pytest.raises(ConfigError, match="each row wears its own"),
        tiny_model.using(rows, form="folded"),
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


def test_every_head_of_a_stack_is_paid_for(monkeypatch):
    file = sys.modules["mlx_t2.svf.fold"]  # the room exports a function of that name
    monkeypatch.setattr(file, "_rates", lambda: (1e9, 1e9))
    base = MultiLinear(16, 8, 4)
    layer = SVFMultiLinear(base, decompose_weight(base.weight))
    # folding costs out · in / n = 16 tokens' live scales, for all heads as for one
    forms = [cheaper_form([layer], tokens, 0) for tokens in (15, 17)]
    assert forms == ["live", "folded"]
