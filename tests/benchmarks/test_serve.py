"""What is timed; the numbers themselves need the default model and a quiet machine."""

import pytest
from orders import make_expert, order, serving

from mlx_t2.benchmarks.serve import make_prompt, measure_beside, measure_rate, wait_for_token

pytestmark = pytest.mark.whole_runs


def test_rates_and_first_tokens_are_of_what_was_asked(tiny_model):
    experts = {"a": make_expert(tiny_model, acts_on="answer", spread=0.01)}
    with serving(tiny_model, experts, chunk_tokens=16) as engine:
        assert measure_rate(engine, ["base", "a", "a"], 5) > 0
        assert 3 <= engine.counters()["completion_tokens_total"] <= 15
        assert engine.counters()["finished_total"] == 3
        alone = wait_for_token(engine, order(max_tokens=1))
        beside = measure_beside(engine, make_prompt(tiny_model, 300, 0), order(max_tokens=1))
        assert alone > 0
        assert beside > 0
        assert engine.counters()["finished_total"] == 6


def test_prompts_are_as_long_as_they_should_be_and_begin_unlike(tiny_model):
    one, other = (make_prompt(tiny_model, 300, number) for number in (1, 2))
    assert len(one) == len(other) == 300
    assert one[0] != other[0]


def test_an_order_that_fails_is_no_measurement(tiny_model):
    with serving(tiny_model) as engine, pytest.raises(RuntimeError, match="unknown"):
        wait_for_token(engine, order(wear="nobody"))
