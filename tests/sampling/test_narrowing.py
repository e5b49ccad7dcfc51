"""What may be drawn: against NumPy's float64, and in a batch as alone."""

import mlx.core as mx
import numpy as np
import pytest

from mlx_t2.errors import ConfigError
from mlx_t2.sampling import ContinuousBatch, SamplingConfig, sample
from mlx_t2.sampling.narrowing import discourage, narrow, penalize

LOGITS = np.random.default_rng(0).normal(0, 2, (6, 40))


def expected(logits, config):
    """The tokens that stay, in the words of the three papers."""
    p = np.exp(logits - logits.max())
    p /= p.sum()
    ranked = np.argsort(-p)
    kept = set()
    for rank, token in enumerate(ranked):
        is_in_nucleus = p[ranked[:rank]].sum() < config.top_p
        is_in_top = not config.top_k or rank < config.top_k
        is_probable = p[token] >= config.min_p * p.max()
        if (is_in_nucleus and is_in_top and is_probable) or rank == 0:
            kept.add(int(token))
    return kept


@pytest.mark.parametrize(
    "limits",
    [
        {"top_p": 0.5},
        {"top_p": 0.01},
        {"top_k": 1},
        {"top_k": 5},
        {"top_k": 400},
        {"min_p": 0.2},
        {"top_p": 0.9, "top_k": 4, "min_p": 0.05},
        {},
    ],
)
def test_the_tokens_that_stay_are_those_of_the_definitions(limits):
    config = SamplingConfig(**limits)
    kept = np.isfinite(np.array(narrow(mx.array(LOGITS.astype(np.float32)), [config] * 6)))
    for row, logits in zip(kept, LOGITS, strict=True):
        assert set(np.flatnonzero(row).tolist()) == expected(logits, config)


def test_each_row_has_its_own_limits():
    configs = [SamplingConfig(top_k=k) for k in (1, 2, 0)]
    kept = mx.isfinite(narrow(mx.array(LOGITS[:3].astype(np.float32)), configs))
    assert kept.sum(axis=-1).tolist() == [1, 2, 40]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_left_to_be_seen(bad):
    row = mx.array([[0.0, bad, 1.0]])
    assert not mx.isfinite(mx.logsumexp(narrow(row, [SamplingConfig(top_k=1)]))).item()


def test_what_was_said_is_less_probable_and_nothing_else_is():
    logits = mx.array([[2.0, -1.0, 3.0, 0.5], [2.0, -1.0, 3.0, 0.5]])
    got = penalize(logits, [[0, 1], []], mx.array([0, 3]), [2.0, 4.0])
    assert got.tolist() == [[1.0, -2.0, 3.0, 0.5], [2.0, -1.0, 3.0, 0.125]]


def test_a_strong_penalty_says_no_token_twice(tiny_model):
    config = SamplingConfig(temperature=0, max_tokens=20, repetition_penalty=1e6)
    (((one,),), ((plain,),)) = (
        sample(tiny_model, [[5, 6, 7]], c)
        for c in (config, SamplingConfig(temperature=0, max_tokens=20))
    )
    assert len(set(one.tokens)) == len(one.tokens)
    assert len(set(plain.tokens)) < len(plain.tokens)


def test_penalties_are_taken_off_by_count_and_by_presence():
    configs = [
        SamplingConfig(presence_penalty=1.0, frequency_penalty=0.5),
        SamplingConfig(presence_penalty=-2.0),
        SamplingConfig(frequency_penalty=0.25),
        SamplingConfig(),
    ]
    counts = [{0: 3, 2: 1}, {1: 4}, {}, {0: 9}]
    last, is_unread = mx.array([2, 1, 3, 0]), [True, False, True, True]
    got = discourage(mx.full((4, 4), 5.0), counts, last, is_unread, configs)
    assert got.tolist() == [
        [5 - 1.5 - 1, 5, 5 - 2 * 0.5 - 1, 5],  # 2 was there before, and is once more
        [5, 5 + 2, 5, 5],
        [5, 5, 5, 5 - 0.25],
        [5, 5, 5, 5],
    ]


def test_a_strong_frequency_penalty_says_each_token_once(tiny_model):
    for limits in ({"frequency_penalty": 1e4}, {"presence_penalty": 1e4}):
        config = SamplingConfig(temperature=0, max_tokens=20, **limits)
        batch = ContinuousBatch(tiny_model)
        batch.insert([5, 6, 7], {}, config)
        tokens = [one.token for step in iter(batch.step, []) for one in step]
        batch.close()
        assert tokens == list(sample(tiny_model, [[5, 6, 7]], config)[0][0].tokens)
        assert len(set(tokens)) == len(tokens) > 1


@pytest.mark.parametrize(
    "limits",
    [
        {"top_k": 3, "top_p": 0.9},
        {"repetition_penalty": 1.5},
        {"frequency_penalty": 1.5, "presence_penalty": 0.5},
    ],
)
def test_neighbours_in_a_batch_change_nothing(tiny_model, limits):
    configs = [
        SamplingConfig(temperature=1, max_tokens=12, seed=3, **limits),
        SamplingConfig(temperature=1, max_tokens=9, seed=4),
    ]
    alone = [sample(tiny_model, [[5, 6, 7]], config)[0][0].tokens for config in configs]
    batch, got = ContinuousBatch(tiny_model), {0: [], 1: []}
    for config in configs:
        batch.insert([5, 6, 7], {}, config)
    while tokens := batch.step():
        for one in tokens:
            got[one.row].append(one.token)
    batch.close()
    assert [tuple(got[row]) for row in (0, 1)] == alone


def test_only_the_most_probable_token_is_drawn_where_one_may_be(tiny_model):
    greedy = sample(tiny_model, [[5, 6, 7]], SamplingConfig(temperature=0, max_tokens=9))
    one = SamplingConfig(temperature=3, max_tokens=9, top_k=1)
    assert sample(tiny_model, [[5, 6, 7]], one)[0][0].tokens == greedy[0][0].tokens


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"top_p": 0.0}, "top_p: got 0.0, expected more than 0, at most 1"),
        ({"top_p": float("nan")}, "top_p: got nan"),
        ({"top_k": -1}, "top_k: got -1, expected 0 or more"),
        ({"min_p": 1.0}, "min_p: got 1.0, expected 0 or more, less than 1"),
        ({"repetition_penalty": 0.0}, "repetition_penalty: got 0.0, expected more than 0"),
        ({"presence_penalty": float("nan")}, "presence_penalty: got nan, expected a finite"),
        ({"frequency_penalty": float("inf")}, "frequency_penalty: got inf, expected a finite"),
    ],
)
def test_settings_out_of_range_are_named(limits, said):
    with pytest.raises(ConfigError, match=said):
        SamplingConfig(**limits)
