import dataclasses

import mlx.core as mx
import mlx_lm
import numpy as np
import pytest
from architectures import tiny
from helpers import assert_close, random_scales, tiny_tokenizer

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel, decompose
from mlx_t2.reading import (
    batching,
    completion_distributions,
    completion_logprobs,
    last_hidden,
    plan_prefill,
    score,
)
from mlx_t2.sampling import ContinuousBatch, SamplingConfig, sample, stream
from mlx_t2.sampling.draw import draw_tokens, row_keys, uniforms_at

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
    groups = sample(tiny_model, PROMPTS, long, group=5)
    lengths = {len(c.tokens) for group in groups for c in group}
    assert len(lengths) > 1  # else nobody left the batch early and nothing was tested
    for group in groups:
        for c in group:
            assert c.is_finished == (c.tokens[-1] in tiny_model.eos_ids)
            assert not any(token in tiny_model.eos_ids for token in c.tokens[:-1])


def test_rows_with_their_own_scales_decode_what_those_scales_decode_alone(tiny_model):
    rows = random_scales(tiny_model.shapes, rows=len(PROMPTS))
    with tiny_model.using(rows):
        together = sample(tiny_model, PROMPTS, GREEDY, group=2)
        assert tiny_model.worn == rows
    for i, prompt in enumerate(PROMPTS):
        with tiny_model.using({path: z[i] for path, z in rows.items()}):
            alone = naive_greedy(tiny_model, prompt, 9)
        assert [list(c.tokens) for c in together[i]] == [alone, alone]


def test_same_seed_same_completions_other_seed_others(tiny_model):
    config = SamplingConfig(temperature=1, max_tokens=12, seed=1)
    first, again = (sample(tiny_model, PROMPTS, config, group=3) for _ in range(2))
    other = sample(
        tiny_model, PROMPTS, SamplingConfig(temperature=1, max_tokens=12, seed=2), group=3
    )
    assert first == again
    assert first != other


def test_a_completion_depends_on_its_prompts_number_not_on_its_neighbours(tiny_model):
    config = SamplingConfig(temperature=1, max_tokens=25, seed=3)
    together = sample(tiny_model, PROMPTS, config, group=3)
    assert len({len(c.tokens) for group in together for c in group}) > 2  # rows have left
    for number, prompt in enumerate(PROMPTS):
        assert sample(tiny_model, [prompt], config, 3, [number]) == [together[number]]
    assert [g[:2] for g in together] == sample(tiny_model, PROMPTS, config, group=2)
    assert together[0] != together[3]  # equal prompts, other numbers
    backwards = sample(tiny_model, PROMPTS[::-1], config, 3, [3, 2, 1, 0])
    assert backwards == together[::-1]


@pytest.mark.whole_runs
@pytest.mark.parametrize("max_rows", [1, 3, 17, 100])
def test_a_completion_does_not_depend_on_how_many_rows_are_decoded_together(
    tiny_model, max_rows
):
    prompts = [*PROMPTS, [5], [6, 5], list(range(3, 20))]
    config = SamplingConfig(temperature=1, max_tokens=20, seed=4)
    with tiny_model.using(random_scales(tiny_model.shapes)):
        expected = sample(tiny_model, prompts, config, group=3)
        bounded = dataclasses.replace(config, max_rows=max_rows)
        assert sample(tiny_model, prompts, bounded, group=3) == expected
    assert len({len(c.tokens) for group in expected for c in group}) > 3  # rows came and went


def test_rows_with_their_own_scales_keep_them_while_they_wait(tiny_model):
    rows = random_scales(tiny_model.shapes, rows=len(PROMPTS))
    config = SamplingConfig(temperature=1, max_tokens=20, seed=4)
    with tiny_model.using(rows):
        expected = sample(tiny_model, PROMPTS, config, group=5)
        bounded = dataclasses.replace(config, max_rows=3)
        assert sample(tiny_model, PROMPTS, bounded, group=5) == expected
        assert tiny_model.worn == rows


def test_no_more_rows_are_decoded_together_than_allowed(tiny_model, monkeypatch):
    seen, read = [], tiny_model.logits_at
    monkeypatch.setattr(
        tiny_model, "logits_at", lambda x, *rest: (seen.append(x.shape[0]), read(x, *rest))[1]
    )
    sample(tiny_model, PROMPTS, SamplingConfig(max_tokens=9, max_rows=3), group=5)
    assert max(seen) == 3


def numbers(seed: int, rows: list[tuple[int, int]], places: int) -> mx.array:
    """(places, rows): what every row draws with."""
    keys = row_keys(seed, rows)
    return mx.stack([uniforms_at(keys, [t] * len(keys)) for t in range(places)])


def test_what_a_row_draws_with_is_its_own_and_does_not_depend_on_its_neighbours():
    rows = [(i, k) for i in range(20) for k in range(10)]
    draws = [numbers(seed, rows, 50) for seed in (0, 1, 2, 3)]
    assert mx.array_equal(numbers(0, rows[13:15], 7), draws[0][:7, 13:15])
    at = uniforms_at(row_keys(0, rows[13:16]), [4, 0, 31])  # rows are not at the same place
    assert at.tolist() == [draws[0][t, row].item() for t, row in ((4, 13), (0, 14), (31, 15))]
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
    drawn = draw_tokens(mx.broadcast_to(logits, (20_000, 8)), [1.0] * 20_000, uniforms)
    expected = np.array(mx.softmax(logits)) * 20_000
    counts = np.bincount(np.array(drawn), minlength=8)
    assert ((counts - expected) ** 2 / expected).sum() < 29.9


def test_rows_of_one_batch_are_drawn_at_temperatures_of_their_own():
    logits = mx.random.normal((4, 16), key=mx.random.key(1))
    uniforms = mx.array([0.9, 0.2, 0.7, 0.4])
    got = draw_tokens(logits, [0.0, 1.0, 0.5, 2.0], uniforms).tolist()
    alone = [
        draw_tokens(logits[b : b + 1], [t], uniforms[b : b + 1] if t else None).item()
        for b, t in enumerate([0.0, 1.0, 0.5, 2.0])
    ]
    assert got == alone
    assert got[0] == mx.argmax(logits[0]).item()


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


def streamed(model, prompt, config) -> list[int]:
    return [token.id for token in stream(model, prompt, config)]


def in_a_batch(model, prompts, config) -> list[list[int]]:
    """Under what the model wears now, two of the prompts a step after the others."""
    batch = ContinuousBatch(model, max_rows=3)
    tokens = {}
    for prompt in prompts:
        tokens[batch.insert(prompt, model.worn, config)] = []
    while steps := batch.step():
        for step in steps:
            tokens[step.row].append(step.token)
    batch.close()
    return list(tokens.values())


UNLIKE = [*PROMPTS, [9, 8, 7, 6], list(range(3, 30)), [40], [12, 9, 30, 31, 32, 33, 5]]


@pytest.mark.whole_runs
@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("architecture", ["llama", "gemma3_text", "mamba2", "lfm2"])
def test_one_seed_draws_the_same_in_a_sample_in_a_continuous_batch_and_in_a_stream(
    architecture, temperature
):
    """Plain attention, a sliding window, and two recurrences; in float32."""
    model = SVFModel(architecture, tiny(architecture), tiny_tokenizer())
    decompose(model, "all")
    config = SamplingConfig(temperature=temperature, max_tokens=10, seed=7)
    with model.using(random_scales(model.shapes, spread=0.1)):
        expected = [list(sample(model, [p], config)[0][0].tokens) for p in UNLIKE]
        assert [streamed(model, prompt, config) for prompt in UNLIKE] == expected
        assert in_a_batch(model, UNLIKE, config) == expected
        numbers = [0] * len(UNLIKE)  # each prompt draws as if it were alone
        together = sample(model, UNLIKE, config, 1, numbers)
        assert [list(group[0].tokens) for group in together] == expected
    assert len({tuple(tokens) for tokens in expected}) > 3


@pytest.mark.parametrize("architecture", ["jamba", "gpt_bigcode"])
def test_a_stream_draws_what_a_sample_draws_where_rows_cannot_be_padded(architecture):
    model = SVFModel(architecture, tiny(architecture), tiny_tokenizer())
    config = SamplingConfig(temperature=1.0, max_tokens=12, seed=7)
    expected = [list(sample(model, [p], config)[0][0].tokens) for p in UNLIKE]
    assert [streamed(model, prompt, config) for prompt in UNLIKE] == expected


def test_a_stream_is_mlx_lms_text_token_for_token(tiny_model):
    for prompt in UNLIKE:
        theirs = mlx_lm.stream_generate(
            tiny_model.network, tiny_model.tokenizer, list(prompt), max_tokens=9
        )
        expected = [(piece.token, piece.text, piece.finish_reason) for piece in theirs]
        ours = [(t.id, t.text, t.finish_reason) for t in stream(tiny_model, prompt, GREEDY)]
        assert ours == expected


def test_a_stream_goes_on_under_the_scales_it_began_with(tiny_model):
    one, other = (random_scales(tiny_model.shapes, seed) for seed in (1, 2))
    with tiny_model.using(one):
        expected = streamed(tiny_model, PROMPTS[0], GREEDY)
        begun = stream(tiny_model, PROMPTS[0], GREEDY)
        got = [next(begun).id]
    with tiny_model.using(other):
        got += [token.id for token in begun]
        assert tiny_model.worn == other
    assert got == expected != naive_greedy(tiny_model, PROMPTS[0], 9)


def test_a_long_prompt_is_read_in_pieces_and_draws_the_same(tiny_model, monkeypatch):
    prompt = [3 + k % 50 for k in range(40)]
    expected = streamed(tiny_model, prompt, GREEDY)
    monkeypatch.setattr("mlx_t2.reading.rows.CHUNK", 7)
    assert streamed(tiny_model, prompt, GREEDY) == expected


def test_prompts_of_unlike_beginnings_are_decoded_in_one_batch(tiny_model, monkeypatch):
    assert batching(tiny_model).mode == "padded"  # found out before, by passes of its own
    seen, read = [], tiny_model.logits_at
    monkeypatch.setattr(
        tiny_model, "logits_at", lambda x, *rest: (seen.append(x.shape[0]), read(x, *rest))[1]
    )
    config = SamplingConfig(temperature=1, max_tokens=9)
    sample(tiny_model, UNLIKE, config, group=2)
    assert seen[0] == max(seen) == 2 * len(UNLIKE)
    assert len(seen) == 9


def test_padding_of_prompts_read_together_is_bounded():
    lengths = (100, 110, 90, 900, 950, 400)
    unlike = [[k + 1, *[100 + k] * (n - 1)] for k, n in enumerate(lengths)]
    alike = [[*[7] * 80, k, k + 1] for k in range(3)]
    prompts = [*unlike, *alike]
    batches = plan_prefill(prompts, [{}] * len(prompts))
    assert sorted(i for batch in batches for i in batch) == list(range(len(prompts)))
    assert batches == [[6, 7, 8], [2, 0, 1], [5], [3, 4]]
    each = plan_prefill(prompts, [{} for _ in prompts])  # nothing is shared under unlike scales
    assert [sorted(batch) for batch in each] == [[0, 1, 2, 6, 7, 8], [5], [3, 4]]


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
