"""The cheapest form to wear scales in: prices by hand, and the rates of the machine."""

import json
import math

import pytest
from any_layer import layer_of, random_weight, random_z, wearing

from mlx_t2.svf import (
    OPERATIONS_ALONE,
    Speed,
    Weight,
    Work,
    choose_form,
    describe_weight,
    find_speed,
    matrix_bytes,
)
from mlx_t2.svf import speed as machine_speed

EQUAL = Speed(operations_per_second=1e9, bytes_per_second=1e9)
BYTES_ALONE = Speed(math.inf, 1.0)
FLOAT = Weight(96, 64, 64, 4 * 96 * 64, 4 * 64 * 64, 4)
QUANTISED = Weight(4096, 14336, 4096, 4.5 / 8 * 4096 * 14336, 2 * 4096**2, 2, True)


def form(*weights, rates=EQUAL, memory=math.inf, **work) -> str:
    return choose_form(weights, Work(**work), rates, memory).form


def test_nothing_pays_for_nothing():
    assert form(FLOAT) == form(FLOAT, tokens=1) == form(QUANTISED, steps=1) == "live"


def test_prices_of_a_float_weight_by_hand():
    """n = k = 64, out = 96, counted in operations alone."""
    for tokens in (10, 100, 1000):
        live, beside, folded = (
            choose_form([FLOAT], Work(tokens=tokens), OPERATIONS_ALONE, forms=forms)
            for forms in ((), ("beside",), ("folded",))
        )
        prices = {
            "live": tokens * 4 * 64 * 64,
            "beside": 2 * 64**3 + tokens * 2 * 64 * 64,
            "folded": 4 * 96 * 64 * 64,
        }
        assert live.seconds == prices["live"]
        for one, name in ((beside, "beside"), (folded, "folded")):
            expected = min(("live", name), key=lambda form: prices[form])
            assert (one.form, one.seconds) == (expected, prices[expected])


@pytest.mark.parametrize(
    ("tokens", "expected"), [(63, "live"), (65, "beside"), (127, "beside"), (129, "folded")]
)
def test_a_float_weight_goes_from_live_by_way_of_beside_to_folded(tokens, expected):
    # live = beside at n tokens, beside = folded at 2 out − n
    assert form(FLOAT, rates=OPERATIONS_ALONE, tokens=tokens) == expected


def test_rows_that_are_decoded_together_count_as_tokens():
    expected = [form(FLOAT, rates=OPERATIONS_ALONE, tokens=t) for t in (60, 120, 240)]
    got = [form(FLOAT, rates=OPERATIONS_ALONE, steps=10, rows=r) for r in (6, 12, 24)]
    assert got == expected == ["live", "beside", "folded"]


def test_beside_a_quantised_weight_are_four_bits_and_a_third_of_its_bytes():
    choice = choose_form([QUANTISED], Work(steps=1000, is_made=True), BYTES_ALONE)
    assert (choice.form, choice.bits, str(choice)) == ("beside", 4, "beside, 4 bits")
    read = choice.seconds / 1000
    assert read == matrix_bytes(4096, 4, 2) == 4096**2 * 4.5 / 8
    assert 1.28 < 1 + read / QUANTISED.base_bytes < 1.3
    live = choose_form([QUANTISED], Work(steps=1000, is_made=True), BYTES_ALONE, forms=())
    assert 3.0 < 1 + live.seconds / 1000 / QUANTISED.base_bytes < 3.1
    folded = choose_form([QUANTISED], Work(steps=1), BYTES_ALONE, forms=("folded",))
    assert folded.form == "live"  # it reads 16 bits for 4.5


@pytest.mark.parametrize(("n", "bits", "expected"), [(96, 4, 6.0 / 8), (33, 4, 2), (64, 16, 2)])
def test_a_matrix_is_not_rounded_where_no_group_fits(n, bits, expected):
    # in groups of 32 a scale and a bias of 2 bytes are 1 bit per entry, and 2 in one of 16
    assert matrix_bytes(n, bits, 2) == pytest.approx(n * n * expected, rel=0.17)


def test_matrices_that_are_made_cost_nothing_more():
    assert form(FLOAT, rates=OPERATIONS_ALONE, tokens=10) == "live"
    assert form(FLOAT, rates=OPERATIONS_ALONE, tokens=10, is_made=True) == "beside"


def test_several_experts_in_one_batch_are_live():
    assert form(FLOAT, steps=10**6, experts=2) == "live"


def test_what_finds_no_room_is_not_chosen():
    folded, beside = 4 * 96 * 64, 4 * 64 * 64
    much = {"rates": OPERATIONS_ALONE, "tokens": 10**6}
    assert form(FLOAT, memory=folded, **much) == "folded"
    assert form(FLOAT, memory=folded - 1, **much) == "beside"
    assert form(FLOAT, memory=beside - 1, **much) == "live"


def test_a_machine_that_reads_slowly_leaves_live_scales_sooner():
    slow = Speed(EQUAL.operations_per_second, EQUAL.bytes_per_second / 100)
    assert [form(FLOAT, rates=rates, steps=20) for rates in (EQUAL, slow)] == ["live", "folded"]


def weight_of(kind: str, out: int, inner: int, stack: int = 4, rank: int | None = None):
    layer = wearing(layer_of(kind, random_weight(kind, stack, out, inner, 0)), rank)
    layer.wear(random_z(layer, 0))
    return describe_weight(layer, layer.base)


def test_a_layer_says_what_its_price_depends_on():
    assert weight_of("linear", 96, 64) == FLOAT
    assert weight_of("linear", 96, 64, rank=5).rank == 5
    base = layer_of("linear", random_weight("linear", 1, 64, 96, 0)).to_quantized(32, 4)
    layer = wearing(base, bits=16)
    quantised = describe_weight(layer, base)
    assert quantised.is_quantised
    assert quantised.base_bytes == sum(base[k].nbytes for k in ("weight", "scales", "biases"))
    assert quantised.basis_bytes == 2 * 64 * 64


def test_every_head_of_a_stack_is_paid_for():
    weight = weight_of("multi", 8, 16)
    # folding costs out · in / n = 16 tokens' live scales, for all heads as for one
    forms = [form(weight, rates=OPERATIONS_ALONE, tokens=tokens) for tokens in (15, 17)]
    assert forms == ["live", "folded"]


def test_of_the_experts_a_token_uses_one_is_paid_for():
    weight = weight_of("switch", 8, 16)
    forms = [form(weight, rates=OPERATIONS_ALONE, tokens=4 * tokens) for tokens in (15, 17)]
    assert forms == ["live", "folded"]


# The rates


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A folder of caches with nothing in it; how often the machine is measured, its load."""
    state = {"measured": 0, "load": 0.0}

    def measure() -> Speed:
        state["measured"] += 1
        return Speed(1e9 * state["measured"], 2e9)

    monkeypatch.setattr(machine_speed, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(machine_speed, "measure_speed", measure)
    monkeypatch.setattr(machine_speed.os, "getloadavg", lambda: (state["load"], 0, 0))
    monkeypatch.setattr(machine_speed.os, "cpu_count", lambda: 4)
    find_speed.cache_clear()
    yield state, tmp_path / "speed.json"
    find_speed.cache_clear()


def again() -> Speed:
    """As the next process finds it."""
    find_speed.cache_clear()
    return find_speed()


def test_the_machine_is_measured_once_and_for_all(machine):
    state, path = machine
    assert find_speed() is find_speed()
    assert again() == again() == Speed(1e9, 2e9)
    assert state["measured"] == 1
    assert json.loads(path.read_text())["bytes_per_second"] == 2e9


def test_nothing_is_measured_under_load(machine):
    state, path = machine
    state["load"] = 2.1
    assert find_speed() is find_speed() is OPERATIONS_ALONE
    assert not path.exists()
    state["load"] = 1.9
    assert again() == Speed(1e9, 2e9)
    assert again() == Speed(1e9, 2e9)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"machine": []}', '{"machine": ["another"], "operations_per_second": 1}'],
)
def test_rates_of_another_machine_or_of_anything_are_measured_anew(machine, content):
    _, path = machine
    path.write_text(content)
    assert again() == Speed(1e9, 2e9)
    assert json.loads(path.read_text())["machine"]


@pytest.mark.parametrize("rate", [0, -1.0, math.inf])
def test_rates_that_no_machine_has_are_measured_anew(machine, rate):
    _, path = machine
    again()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"bytes_per_second": rate}))
    assert again() == Speed(2e9, 2e9)


def test_a_machine_is_measured():
    found = machine_speed.measure_speed()
    assert min(found.operations_per_second, found.bytes_per_second) > 1e6
