import dataclasses

import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close, random_scales

from mlx_t2.errors import ConfigError
from mlx_t2.reading import completion_distributions, completion_logprobs, last_hidden, score
from mlx_t2.sampling import SamplingConfig, sample, stream
from mlx_t2.sampling.draws import draw, row_uniforms

PROMPTS = [[5, 6, 7, 8, 9], [5, 6, 7, 10], [5, 6, 11, 12, 13, 14, 15], [5, 6, 7, 8, 9]]
GREEDY = SamplingConfig(temperature=0, max_tokens=9)


def naive_greedy(model, prompt, limit):
    """One full forward a token, no cache at all."""
    tokens = list(prompt)
    for _ in range(limit):
        tokens.append(mx.argmax(model.network(mx.array([tokens]))[0, -1]).item())
        if tokens[-1] in model.eos_ids:
            break
    return tokens[len(prompt) :]


def naive_distributions(model, prompt, completion):
    """Teacher forcing in one full forward, no cache, no padding, no shared prefix."""
    logits = model.network(mx.array([[*prompt, *completion]]))[0].astype(mx.float32)
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    return logprobs[len(prompt) - 1 : -1]


def naive_logprobs(model, prompt, completion):
    logprobs = naive_distributions(model, prompt, completion)
    return [logprobs[t, token].item() for t, token in enumerate(completion)]


def test_a_batch_with_shared_prefix_decodes_what_each_prompt_decodes_alone(tiny_model):
    with tiny_model.using(random_scales(tiny_model.shapes)):
        together = sample(tiny_model, PROMPTS, GREEDY)
        alone = [naive_greedy(tiny_model, prompt, 9) for prompt in PROMPTS]
    assert [list(group[0].tokens) for group in together] == alone


def test_a_completion_does_not_depend_on_when_its_neighbours_finish(tiny_model):
    long = SamplingConfig(temperature=1, max_tokens=40, seed=3)
    groups = sample(tiny_model, PROMPTS, long, copies=5)
    lengths = {len(c.tokens) for group in groups for c in group}
    assert len(lengths) > 1  # else nobody left the batch early and nothing was tested
    for group in groups:
        for c in group:
            assert c.is_finished == (c.tokens[-1] in tiny_model.eos_ids)
            assert not any(token in tiny_model.eos_ids for token in c.tokens[:-1])


def test_rows_with_their_own_scales_decode_what_those_scales_decode_alone(tiny_model):
    rows = random_scales(tiny_model.shapes, rows=len(PROMPTS))
    with tiny_model.using(rows):
        together = sample(tiny_model, PROMPTS, GREEDY, copies=2)
        assert tiny_model.worn == rows
    for i, prompt in enumerate(PROMPTS):
        with tiny_model.using({path: z[i] for path, z in rows.items()}):
            alone = naive_greedy(tiny_model, prompt, 9)
        assert [list(c.tokens) for c in together[i]] == [alone, alone]


def test_same_seed_same_completions_other_seed_others(tiny_model):
    config = SamplingConfig(temperature=1, max_tokens=12, seed=1)
    first, again = (sample(tiny_model, PROMPTS, config, copies=3) for _ in range(2))
    other = sample(
        tiny_model, PROMPTS, SamplingConfig(temperature=1, max_tokens=12, seed=2), copies=3
    )
    assert first == again
    assert first != other


def test_a_completion_depends_on_its_prompts_number_not_on_its_neighbours(tiny_model):
    config = SamplingConfig(temperature=1, max_tokens=25, seed=3)
    together = sample(tiny_model, PROMPTS, config, copies=3)
    assert len({len(c.tokens) for group in together for c in group}) > 2  # rows have left
    for number, prompt in enumerate(PROMPTS):
        assert sample(tiny_model, [prompt], config, 3, [number]) == [together[number]]
    assert [g[:2] for g in together] == sample(tiny_model, PROMPTS, config, copies=2)
    assert together[0] != together[3]  # equal prompts, other numbers
    backwards = sample(tiny_model, PROMPTS[::-1], config, 3, [3, 2, 1, 0])
    assert backwards == together[::-1]


@pytest.mark.parametrize("max_rows", [1, 3, 17, 100])
def test_a_completion_does_not_depend_on_how_many_rows_are_decoded_together(
    tiny_model, max_rows
):
    prompts = [*PROMPTS, [5], [6, 5], list(range(3, 20))]
    config = SamplingConfig(temperature=1, max_tokens=30, seed=4)
    with tiny_model.using(random_scales(tiny_model.shapes)):
        expected = sample(tiny_model, prompts, config, copies=4)
        bounded = dataclasses.replace(config, max_rows=max_rows)
        assert sample(tiny_model, prompts, bounded, copies=4) == expected
    assert len({len(c.tokens) for group in expected for c in group}) > 3  # rows came and went


def test_rows_with_their_own_scales_keep_them_while_they_wait(tiny_model):
    rows = random_scales(tiny_model.shapes, rows=len(PROMPTS))
    config = SamplingConfig(temperature=1, max_tokens=20, seed=4)
    with tiny_model.using(rows):
        expected = sample(tiny_model, PROMPTS, config, copies=5)
        bounded = dataclasses.replace(config, max_rows=3)
        assert sample(tiny_model, PROMPTS, bounded, copies=5) == expected
        assert tiny_model.worn == rows


def test_no_more_rows_are_decoded_together_than_allowed(tiny_model, monkeypatch):
    seen, read = [], tiny_model.logits_at
    monkeypatch.setattr(
        tiny_model, "logits_at", lambda x, *rest: (seen.append(x.shape[0]), read(x, *rest))[1]
    )
    sample(tiny_model, PROMPTS, SamplingConfig(max_tokens=9, max_rows=3), copies=5)
    assert max(seen) == 3


def test_what_a_row_draws_with_is_its_own_and_does_not_depend_on_the_limit():
    rows = [(i, k) for i in range(20) for k in range(10)]
    draws = [row_uniforms(SamplingConfig(max_tokens=50, seed=s), rows) for s in (0, 1, 2, 3)]
    shorter = row_uniforms(SamplingConfig(max_tokens=7), rows[13:15])
    assert mx.array_equal(shorter, draws[0][:7, 13:15])
    # |r| of unrelated numbers passes 4.5 / sqrt(n) once in 150,000 pairs.
    streams = np.array(mx.stack(draws)).reshape(4, -1)
    assert np.abs(np.corrcoef(streams) - np.eye(4)).max() < 4.5 / streams.shape[1] ** 0.5
    columns = np.corrcoef(np.array(draws[0]).T) - np.eye(200)
    assert np.abs(columns).max() < 6 / 50**0.5
    assert abs(streams.mean() - 0.5) < 4.5 * (1 / 12 / streams.size) ** 0.5


def test_tokens_are_drawn_with_their_probabilities():
    """Chi-square on 20,000 draws over 8 tokens; chance passes 29.9 once in 10,000 seeds."""
    logits = mx.random.normal((8,), key=mx.random.key(1)) * 1.5
    uniforms = mx.random.uniform(shape=(20_000,), key=mx.random.key(2))
    drawn = draw(mx.broadcast_to(logits, (20_000, 8)), 1.0, uniforms)
    expected = np.array(mx.softmax(logits)) * 20_000
    counts = np.bincount(np.array(drawn), minlength=8)
    assert ((counts - expected) ** 2 / expected).sum() < 29.9


EQUAL_GROUPS = [[[3, 4, 5], [9]], [[1, 2], [2, 2, 2, 2]], [[8], [7]], [[4, 4], [5]]]
UNEQUAL_GROUPS = [[[3, 4, 5]], [[1, 2], [2, 2, 2, 2], [7], [8, 1, 3]], [], [[4, 4], [5]]]


@pytest.mark.parametrize("completions", [EQUAL_GROUPS, UNEQUAL_GROUPS])
def test_logprobs_are_those_of_plain_teacher_forcing(tiny_model, completions):
    with tiny_model.using(random_scales(tiny_model.shapes)):
        got = completion_logprobs(tiny_model, PROMPTS, completions)
        expected = [
            logprob
            for prompt, group in zip(PROMPTS, completions, strict=True)
            for completion in group
            for logprob in naive_logprobs(tiny_model, prompt, completion)
        ]
    assert_close(got, expected)


@pytest.mark.parametrize("completions", [EQUAL_GROUPS, UNEQUAL_GROUPS])
def test_distributions_are_those_of_plain_teacher_forcing(tiny_model, completions):
    with tiny_model.using(random_scales(tiny_model.shapes)):
        got = completion_distributions(tiny_model, PROMPTS, completions)
        chosen = completion_logprobs(tiny_model, PROMPTS, completions)
        expected = [
            naive_distributions(tiny_model, prompt, completion)
            for prompt, group in zip(PROMPTS, completions, strict=True)
            for completion in group
        ]
    assert_close(got, mx.concatenate(expected))
    assert_close(mx.exp(got).sum(axis=-1), np.ones(len(chosen)))
    tokens = mx.array([t for group in completions for c in group for t in c])
    assert_close(chosen, mx.take_along_axis(got, tokens[:, None], axis=1).squeeze(1))


def test_fresh_samples_have_ratio_one(tiny_model):
    """Sampled ids scored by teacher forcing: what cached decoding saw is what the loss sees."""
    with tiny_model.using(random_scales(tiny_model.shapes)):
        groups = sample(tiny_model, PROMPTS, GREEDY)
        completions = [[c.tokens for c in group] for group in groups]
        logprobs = completion_logprobs(tiny_model, PROMPTS, completions)
        naive = [
            naive_logprobs(tiny_model, p, g[0])
            for p, g in zip(PROMPTS, completions, strict=True)
        ]
    ratios = mx.exp(logprobs - mx.array([x for row in naive for x in row]))
    assert_close(ratios, np.ones(ratios.shape))


def test_score_sums_the_logprobs_of_each_continuation(tiny_model):
    continuations = [[3, 4], [9], [1, 2, 3]]
    got = score(tiny_model, PROMPTS, continuations)
    expected = [[sum(naive_logprobs(tiny_model, p, c)) for c in continuations] for p in PROMPTS]
    assert_close(got, expected)


def test_last_hidden_is_the_state_of_each_prompts_last_token(tiny_model):
    expected = [np.array(tiny_model.hidden(mx.array([p]))[0, -1]) for p in PROMPTS]
    assert_close(last_hidden(tiny_model, PROMPTS), np.stack(expected))


def test_streaming_draws_what_the_batch_draws_when_greedy(tiny_model):
    streamed = [token.id for token in stream(tiny_model, PROMPTS[0], GREEDY)]
    assert tuple(streamed) == sample(tiny_model, PROMPTS[:1], GREEDY)[0][0].tokens


def test_one_token_prompts_and_equal_prompts_work(tiny_model):
    prompts = [[5], [6], [5]]
    together = sample(tiny_model, prompts, GREEDY)
    assert [list(g[0].tokens) for g in together] == [
        naive_greedy(tiny_model, p, 9) for p in prompts
    ]


@pytest.mark.parametrize(
    "completions",
    [[[[3, 4, 5], [9, 1]], [[1, 2], [2, 2, 2]]], [[[3, 4, 5]], [[1], [2, 9], [4]]]],
)
def test_gradient_through_the_shared_prompt_is_the_gradient_of_each_row_alone(
    tiny_model, completions
):
    scales = random_scales(tiny_model.shapes)

    def shared(scales):
        with tiny_model.using(scales):
            return completion_logprobs(tiny_model, PROMPTS[:2], completions).sum()

    def alone(scales):
        total = mx.array(0.0)
        with tiny_model.using(scales):
            for prompt, group in zip(PROMPTS[:2], completions, strict=True):
                for completion in group:
                    logits = tiny_model.network(mx.array([[*prompt, *completion]]))[0]
                    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
                    at = mx.arange(len(prompt) - 1, len(prompt) + len(completion) - 1)
                    total = total + logprobs[at, mx.array(completion)].sum()
        return total

    got, expected = mx.grad(shared)(scales), mx.grad(alone)(scales)
    for path in scales:
        assert_close(got[path], expected[path])


@pytest.mark.parametrize(
    ("setting", "value"), [("temperature", -1), ("max_tokens", 0), ("max_rows", 0)]
)
def test_settings_out_of_range_are_named(setting, value):
    with pytest.raises(ConfigError, match=f"{setting}: got {value}"):
        SamplingConfig(**{setting: value})
