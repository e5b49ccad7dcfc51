"""What a profile counts, and what benchmarks leave behind."""

import os

import pytest
from helpers import random_scales

from mlx_t2.benchmarks.four_bit_copy import lending_cache
from mlx_t2.benchmarks.profile import Part, count_costs, ignoring_ends
from mlx_t2.benchmarks.profile import _measure_part as measure_part
from mlx_t2.sampling import SamplingConfig, sample
from mlx_t2.svf import Speed


def test_costs_of_a_tiny_llama_by_hand(tiny_model):
    costs = count_costs(tiny_model)
    # hidden 32, MLP 64, 4 heads of 8 and 2 of keys and values, 2 layers, 64 tokens
    linear = 2 * (3 * 32 * 64 + 2 * 32 * 32 + 2 * 32 * 16)
    assert costs.blocks == 2 * linear
    assert costs.head == 2 * 64 * 32
    assert costs.live == 2 * 3 * 4 * 32 * 32
    assert costs.read == 4 * (linear + 64 * 32)
    assert costs.read_live == 2 * 4 * 2 * 3 * 32 * 32


@pytest.mark.parametrize("form", ["beside", "folded"])
def test_costs_are_the_base_s_whatever_is_worn(tiny_model, form):
    expected = count_costs(tiny_model)
    with tiny_model.using(random_scales(tiny_model.shapes), form):
        assert count_costs(tiny_model) == expected


def test_a_share_of_the_peak_is_work_over_time_and_rate(monkeypatch):
    ticks = iter([0.0, 2.0, 10.0, 14.0, 20.0, 22.0])
    monkeypatch.setattr("mlx_t2.benchmarks.profile.time.perf_counter", lambda: next(ticks))
    part = Part("a", lambda: None, 1e9, 4e8)
    found = measure_part(part, Speed(1e9, 1e9), 3)
    assert found.ours == 2.0
    assert "1.0 GFLOP, 0.40 GB; 50 % of the peak in operations, 20 % in bytes" in found.against


def test_no_token_ends_an_answer_inside_the_block(tiny_model):
    ends = tiny_model.eos_ids
    config = SamplingConfig(temperature=1.0, max_tokens=30)
    with ignoring_ends(tiny_model):
        drawn = sample(tiny_model, [[3, 4, 5]], config, 8)
    assert {len(one.tokens) for one in drawn[0]} == {30}
    assert tiny_model.eos_ids == ends


@pytest.mark.parametrize("before", [None, "/somewhere"])
def test_a_lent_cache_is_gone_and_the_own_one_is_back(monkeypatch, before):
    monkeypatch.delenv("MLX_T2_CACHE", raising=False)
    if before:
        monkeypatch.setenv("MLX_T2_CACHE", before)
    with lending_cache() as folder:
        assert os.environ["MLX_T2_CACHE"].startswith(str(folder))
    assert os.environ.get("MLX_T2_CACHE") == before
    assert not folder.exists()
