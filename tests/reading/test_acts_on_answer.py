"""Scales that act on the answer alone: the base reads the prompt up to its last token.

Compared with layers that choose, column by column, between the base weight and the scaled one
in one plain forward pass without a cache.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx
import mlx.nn as nn
import pytest
from architectures import tiny
from helpers import assert_close, random_scales, tiny_tokenizer

from mlx_t2.models import SVFModel
from mlx_t2.reading import completion_logprobs, last_hidden, prefill, score
from mlx_t2.sampling import ContinuousBatch, SamplingConfig, sample, stream
from mlx_t2.svf import Recipe, SVFLayer, ones

PROMPTS = [
    list(range(5, 16)),
    [*range(5, 11), 22],
    [*range(5, 11), 30, 31, 32],
    [9, 8, 7, 6, 5, 4, 3],
    [4],
]
COMPLETIONS = [[[3, 4, 5], [9]], [[7, 8]], [[3, 3, 3, 3]], [[8], [7, 1], [6, 6, 6]], [[9, 9]]]
GREEDY = SamplingConfig(temperature=0, max_tokens=6)
WARM = SamplingConfig(temperature=1, max_tokens=6, seed=3)
PADDED = ["llama", "llama in 4 bits", "gemma3_text", "qwen3_moe", "mamba2", "lfm2"]
"""Full and rotating caches, experts, recurrences."""
ALONE = ["gpt_bigcode", "llama4"]
UNLIKE = [*PADDED, "jamba", *ALONE]
"""And such as are read in rows of equal length, or alone."""


def model_of(architecture: str) -> SVFModel:
    name, _, bits = architecture.partition(" in ")
    network = tiny(name)
    if bits:
        nn.quantize(network, 32, int(bits.removesuffix(" bits")))
    model = SVFModel(architecture, network, tiny_tokenizer())
    for _ in model.decompose(Recipe(targets="all")):
        pass
    return model


@contextmanager
def switching(monkeypatch, model: SVFModel, scales, before: int) -> Iterator[None]:
    """The layers give the first `before` columns as the base does, the others by the scales."""
    kinds = {type(m) for m in model.network.modules() if isinstance(m, SVFLayer)}
    with monkeypatch.context() as patch, model.using(scales):
        for kind in kinds:
            patch.setattr(kind, "__call__", choosing(kind.__call__, before))
        yield


def choosing(call, before: int):
    def chosen(layer, x, *args, **named):
        scaled, z = call(layer, x, *args, **named), layer.z
        layer.wear(None)
        base = call(layer, x, *args, **named)
        layer.wear(z)
        return mx.concatenate([base[:, :before], scaled[:, before:]], axis=1)

    return chosen


def naive(monkeypatch, model, scales, prompt, completion) -> mx.array:
    """log π of the completion's tokens, in one forward pass."""
    tokens = mx.array([[*prompt, *completion]])
    with switching(monkeypatch, model, scales, len(prompt) - 1):
        logits = model.network(tokens)[0, len(prompt) - 1 : -1].astype(mx.float32)
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    return mx.take_along_axis(logprobs, mx.array(completion)[:, None], axis=1).squeeze(1)


def naive_greedy(monkeypatch, model, scales, prompt) -> list[int]:
    tokens = list(prompt)
    with switching(monkeypatch, model, scales, len(prompt) - 1):
        while len(tokens) < len(prompt) + GREEDY.max_tokens:
            tokens.append(mx.argmax(model.network(mx.array([tokens]))[0, -1]).item())
            if tokens[-1] in model.eos_ids:
                break
    return tokens[len(prompt) :]


def test_log_probabilities_and_gradient_are_those_of_weights_chosen_by_position(
    tiny_model, monkeypatch
):
    scales = random_scales(tiny_model.shapes, spread=0.2)

    def found(scales):
        with tiny_model.using(scales, acts_on="answer"):
            return completion_logprobs(tiny_model, PROMPTS, COMPLETIONS)

    def expected(scales):
        pairs = [(p, c) for p, group in zip(PROMPTS, COMPLETIONS, strict=True) for c in group]
        return mx.concatenate([naive(monkeypatch, tiny_model, scales, *pair) for pair in pairs])

    assert_close(found(scales), expected(scales))
    got = mx.grad(lambda s: (found(s) * mx.arange(18)).sum())(scales)
    wanted = mx.grad(lambda s: (expected(s) * mx.arange(18)).sum())(scales)
    for path in scales:
        assert_close(got[path], wanted[path])


def test_the_prompt_belongs_to_the_base_whatever_is_worn(tiny_model):
    base = prefill(tiny_model, PROMPTS[:4])
    with tiny_model.using(random_scales(tiny_model.shapes, rows=4), acts_on="answer"):
        worn = prefill(tiny_model, PROMPTS[:4])
        assert worn.caches.has_rows
    for mine, plain in zip(worn.caches, base.caches, strict=True):
        assert mx.array_equal(mine.keys, plain.keys)
        assert mx.array_equal(mine.values, plain.values)


def test_the_kind_ends_with_the_block(tiny_model):
    scales = random_scales(tiny_model.shapes)
    with tiny_model.using(scales, acts_on="answer"):
        with tiny_model.using(scales):
            assert tiny_model.acts_on == "all"
            assert tiny_model.prompt_scales == scales
        assert tiny_model.acts_on == "answer"
        assert tiny_model.prompt_scales == {}
    assert tiny_model.acts_on == "all"


def test_every_way_of_drawing_draws_what_weights_chosen_by_position_do(tiny_model, monkeypatch):
    scales = random_scales(tiny_model.shapes, spread=0.6)
    expected = [naive_greedy(monkeypatch, tiny_model, scales, prompt) for prompt in PROMPTS]
    with tiny_model.using(scales):
        assert expected != [list(g[0].tokens) for g in sample(tiny_model, PROMPTS, GREEDY)]
    for form in ("live", "beside", "folded"):
        with tiny_model.using(scales, form=form, acts_on="answer"):
            drawn = sample(tiny_model, PROMPTS, GREEDY, group=2)
            streamed = [[t.id for t in stream(tiny_model, p, GREEDY)] for p in PROMPTS]
        for group, tokens in zip(drawn, expected, strict=True):
            assert [list(c.tokens) for c in group] == [tokens, tokens]
        assert streamed == expected
    batch = ContinuousBatch(tiny_model, max_rows=3)
    rows = [batch.insert(prompt, scales, GREEDY, "answer") for prompt in PROMPTS]
    assert drained(batch, rows) == expected


def drained(batch: ContinuousBatch, rows: list[int]) -> list[list[int]]:
    tokens: dict[int, list[int]] = {row: [] for row in rows}
    while steps := batch.step():
        for step in steps:
            tokens[step.row].append(step.token)
    return [tokens[row] for row in rows]


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_both_kinds_and_the_base_change_nothing_for_one_another(tiny_model, seed):
    experts = [random_scales(tiny_model.shapes, k, spread=0.6) for k in range(2)]
    worn = [({}, "all"), *((e, kind) for e in experts for kind in ("all", "answer"))]
    alone = []
    for prompt, (scales, kind) in zip(PROMPTS, worn, strict=True):
        with tiny_model.using(scales, acts_on=kind):
            alone.append([t.id for t in stream(tiny_model, prompt, WARM)])
    order = [2, 4, 0, 1, 3][seed:] + [2, 4, 0, 1, 3][:seed]
    batch = ContinuousBatch(tiny_model, max_rows=2 + seed)
    rows = [batch.insert(PROMPTS[i], worn[i][0], WARM, worn[i][1]) for i in order]
    assert drained(batch, rows) == [alone[i] for i in order]


def test_rows_with_experts_of_their_own_are_scored_and_drawn_as_each_alone(tiny_model):
    experts = [random_scales(tiny_model.shapes, k, spread=0.4) for k in range(len(PROMPTS))]
    stacked = {path: mx.stack([e[path] for e in experts]) for path in experts[0]}
    with tiny_model.using(stacked, acts_on="answer"):
        scores = score(tiny_model, PROMPTS, [[3, 4], [9]])
        states = last_hidden(tiny_model, PROMPTS)
        drawn = sample(tiny_model, PROMPTS, GREEDY)
    for i, (prompt, expert) in enumerate(zip(PROMPTS, experts, strict=True)):
        with tiny_model.using(expert, acts_on="answer"):
            assert_close(scores[i], score(tiny_model, [prompt], [[3, 4], [9]])[0])
            assert_close(states[i], last_hidden(tiny_model, [prompt])[0])
            assert drawn[i] == sample(tiny_model, [prompt], GREEDY)[0]


def test_one_read_of_what_prompts_begin_with_serves_every_expert(tiny_model, monkeypatch):
    read, extend = [], tiny_model.extend

    def counting(tokens, cache):
        read.append(tokens.size)
        extend(tokens, cache)

    batch = ContinuousBatch(tiny_model)
    monkeypatch.setattr(tiny_model, "extend", counting)
    prompts = [[*range(5, 45), 7 + k, 9] for k in range(4)]
    for k, prompt in enumerate(prompts):
        batch.insert(prompt, random_scales(tiny_model.shapes, k), GREEDY, "answer")
    batch.step()
    assert read == [40, 4]  # once, then a token of each prompt's own


# Architectures


@pytest.mark.parametrize("architecture", UNLIKE)
def test_scales_of_one_change_no_bit(architecture):
    model = model_of(architecture)
    base = [sample(model, PROMPTS[:4], config, group=2) for config in (GREEDY, WARM)]
    scores = completion_logprobs(model, PROMPTS[:4], COMPLETIONS[:4])
    with model.using(ones(model.shapes), acts_on="answer"):
        assert [sample(model, PROMPTS[:4], c, group=2) for c in (GREEDY, WARM)] == base
        if architecture not in ALONE:  # the base reads those without a cache
            got = completion_logprobs(model, PROMPTS[:4], COMPLETIONS[:4])
            assert mx.array_equal(got, scores)


@pytest.mark.parametrize("architecture", UNLIKE)
def test_what_is_scored_is_what_is_drawn(architecture):
    """Greedy tokens of `sample` are those of `stream`, and the most probable of the scores."""
    model = model_of(architecture)
    scales = random_scales(model.shapes, spread=0.3)
    with model.using(scales, acts_on="answer"):
        drawn = [group[0] for group in sample(model, PROMPTS[:4], GREEDY)]
        for prompt, completion in zip(PROMPTS, drawn, strict=False):
            assert [t.id for t in stream(model, prompt, GREEDY)] == list(completion.tokens)
        tokens = [list(c.tokens) for c in drawn]
        chosen = completion_logprobs(model, PROMPTS[:4], [[t] for t in tokens])
        others = [[[(t[0] + k) % 64] for k in range(1, 4)] for t in tokens]
        first = completion_logprobs(model, PROMPTS[:4], [[t[:1]] for t in tokens])
        less = completion_logprobs(model, PROMPTS[:4], others)
        assert mx.all(less.reshape(4, 3) <= first[:, None])
    assert chosen.size == sum(map(len, tokens))


@pytest.mark.parametrize("architecture", PADDED)
def test_every_architecture_reads_the_prompt_under_the_base(architecture, monkeypatch):
    model = model_of(architecture)
    scales = random_scales(model.shapes, spread=0.3)
    prompt, completion = PROMPTS[2], [3, 4, 5]
    with model.using(scales, acts_on="answer"):
        got = completion_logprobs(model, [prompt], [[completion]])
    assert_close(got, naive(monkeypatch, model, scales, prompt, completion), 1e-4)
