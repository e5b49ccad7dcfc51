"""The cheaper way to wear scales, and its price."""

from any_layer import layer_of, random_weight, random_z, wearing

from mlx_t2.svf import cheaper_form
from mlx_t2.svf.live_or_folded import Speed, measure_speed

SPEED = Speed(operations_per_second=1e9, bytes_per_second=1e9)


def worn_layer(kind: str, out: int, inner: int):
    layer = wearing(layer_of(kind, random_weight(kind, 4, out, inner, 0)))
    layer.wear(random_z(layer, 0))
    return layer


def test_folding_does_not_pay_for_one_token_and_does_for_many():
    layers = [worn_layer("linear", 512, 256)]
    assert cheaper_form(layers, tokens=1, steps=0) == "live"
    assert cheaper_form(layers, tokens=10**6, steps=10**6) == "folded"


def test_every_head_of_a_stack_is_paid_for():
    layer = worn_layer("multi", 8, 16)
    # folding costs out · in / n = 16 tokens' live scales, for all heads as for one
    forms = [cheaper_form([layer], tokens, 0, SPEED) for tokens in (15, 17)]
    assert forms == ["live", "folded"]


def test_of_the_experts_a_token_uses_one_is_paid_for():
    layer = worn_layer("switch", 8, 16)
    forms = [cheaper_form([layer], tokens, 0, SPEED) for tokens in (4 * 15, 4 * 17)]
    assert forms == ["live", "folded"]


def test_a_machine_that_reads_slowly_folds_sooner():
    layer = worn_layer("linear", 8, 16)
    slow = Speed(SPEED.operations_per_second, SPEED.bytes_per_second / 100)
    forms = [cheaper_form([layer], 0, 2, speed) for speed in (SPEED, slow)]
    assert forms == ["live", "folded"]


def test_the_machine_is_measured_once():
    assert measure_speed() is measure_speed()
