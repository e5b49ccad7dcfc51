"""What each architecture may read together, on tiny random models of all that are not refused,
and that it comes out as each row alone.
"""

import mlx.core as mx
import pytest
from architectures import ARCHITECTURES, some, tiny
from helpers import assert_close, random_scales, tiny_tokenizer

from mlx_t2.errors import ModelError
from mlx_t2.models import SVFModel
from mlx_t2.reading import (
    UNBATCHED,
    batching,
    completion_distributions,
    completion_logprobs,
    last_hidden,
    score,
)
from mlx_t2.sampling import ContinuousBatch, SamplingConfig, sample, stream
from mlx_t2.svf import REFUSED, Recipe

pytestmark = pytest.mark.whole_runs  # of a hundred architectures by the same code

MODES = {
    **dict.fromkeys(
        (
            *("afm7", "baichuan_m1", "bailing_moe_linear", "gemma2", "jamba", "mamba"),
            *("longcat_flash_ngram", "minimax_m3_vl", "nemotron-nas", "nemotron_h"),
            *("olmo_hybrid", "recurrent_gemma", "rwkv7"),
        ),
        "equal",
    ),
    **dict.fromkeys(("deepseek_v41", "gpt_bigcode", "llama4"), "single"),
}
"""All others are `padded`."""
PADDED = sorted(set(ARCHITECTURES) - set(REFUSED) - set(MODES))
ROTATING = ["gemma3_text", "gpt_oss", "olmo3", "cohere2", "exaone4"]
"""Some whose layers attend to a window of the latest tokens."""
PROMPTS = [
    list(range(5, 16)),
    [*range(5, 11), 22],
    [*range(5, 11), 30, 31, 32],
    [9, 8, 7, 6, 5, 4, 3],
]
GREEDY = SamplingConfig(temperature=0, max_tokens=4)


def model_of(architecture: str) -> SVFModel:
    return SVFModel(architecture, tiny(architecture), tiny_tokenizer())


@pytest.mark.parametrize("architecture", ["llama", *ROTATING])
@pytest.mark.parametrize("prompts", [[[5, 6, 7], [5, 6, 8, 9]], [[5], [6, 7]]])
def test_a_prompt_with_nothing_left_to_read_waits_for_one_with_a_token(architecture, prompts):
    model = model_of(architecture)
    together = sample(model, prompts, GREEDY)
    assert together == [sample(model, [prompt], GREEDY)[0] for prompt in prompts]


@pytest.mark.parametrize("architecture", some(PADDED))
def test_a_padded_row_decodes_what_it_decodes_alone(architecture):
    model = model_of(architecture)
    assert batching(model).mode == "padded"
    assert batching(model).why == ""
    together = sample(model, PROMPTS, GREEDY)
    assert together == [sample(model, [prompt], GREEDY)[0] for prompt in PROMPTS]


@pytest.mark.parametrize("architecture", some(PADDED))
def test_a_row_of_a_continuous_batch_decodes_what_it_decodes_alone(architecture):
    model = model_of(architecture)
    got = [drained(model, PROMPTS), *(drained(model, [prompt]) for prompt in PROMPTS)]
    assert got[0] == [rows[0] for rows in got[1:]]


def drained(model: SVFModel, prompts: list[list[int]]) -> list[list[int]]:
    batch = ContinuousBatch(model)
    tokens = {batch.insert(prompt, {}, GREEDY): [] for prompt in prompts}
    while steps := batch.step():
        for step in steps:
            tokens[step.row].append(step.token)
    return list(tokens.values())


@pytest.mark.parametrize(("architecture", "mode"), MODES.items())
def test_what_cannot_be_padded_is_read_as_well_as_it_can_be(architecture, mode):
    found = batching(model_of(architecture))
    assert found.mode == mode
    remedy = {"equal": "prompts of equal length are read together"}
    assert found.why.startswith(f"{architecture}: ")
    assert found.why.endswith(f"; {remedy.get(mode, 'one row is read at a time')}")
    assert "\n" not in found.why


@pytest.mark.parametrize("architecture", MODES)
def test_what_cannot_be_padded_decodes_what_mlx_lm_decodes_alone(architecture):
    model = model_of(architecture)
    alone = [[t.id for t in stream(model, prompt, GREEDY)] for prompt in PROMPTS]
    for group, tokens in zip(sample(model, PROMPTS, GREEDY, group=2), alone, strict=True):
        assert [list(c.tokens) for c in group] == [tokens, tokens]


@pytest.mark.parametrize("architecture", MODES)
def test_what_cannot_be_padded_is_scored_as_by_plain_teacher_forcing(architecture):
    model = model_of(architecture)
    completions = [[[3, 4, 5], [9]], [[7, 8]], [[2, 2, 2, 2]], [[8], [7, 1], [6, 6, 6]]]
    expected = mx.concatenate(
        [
            distributions(model, prompt, completion)
            for prompt, group in zip(PROMPTS, completions, strict=True)
            for completion in group
        ]
    )
    tokens = mx.array([t for group in completions for c in group for t in c])
    assert_close(completion_distributions(model, PROMPTS, completions), expected)
    chosen = mx.take_along_axis(expected, tokens[:, None], axis=1).squeeze(1)
    assert_close(completion_logprobs(model, PROMPTS, completions), chosen)
    scores = score(model, PROMPTS, [[3, 4], [9]])
    for row, prompt in zip(scores, PROMPTS, strict=True):
        first, second = (distributions(model, prompt, c) for c in ([3, 4], [9]))
        assert_close(row, mx.stack([first[0, 3] + first[1, 4], second[0, 9]]))


def distributions(model: SVFModel, prompt: list[int], completion: list[int]) -> mx.array:
    """Teacher forcing in one full forward, no cache, no padding, no shared prefix."""
    logits = model.network(mx.array([[*prompt, *completion]]))[0].astype(mx.float32)
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    return logprobs[len(prompt) - 1 : -1]


@pytest.mark.parametrize(
    "architecture", ["gemma3_text", "mamba2", "lfm2", "deepseek_v3", "jamba", "gpt_bigcode"]
)
def test_rows_of_every_kind_of_cache_may_wait(architecture):
    model = model_of(architecture)
    config = SamplingConfig(temperature=1, max_tokens=12)
    expected = sample(model, PROMPTS, config, group=3)
    bounded = SamplingConfig(temperature=1, max_tokens=12, max_rows=2)
    assert sample(model, PROMPTS, bounded, group=3) == expected


@pytest.mark.parametrize("architecture", ["jamba", "gpt_bigcode"])
def test_what_cannot_be_padded_can_be_trained_on(architecture):
    model = model_of(architecture)
    for _ in model.decompose(Recipe(targets="all")):
        pass
    scales = random_scales(model.shapes)
    completions = [[[3, 4, 5], [9]], [[7, 8]], [[2, 2, 2, 2]], [[8], [7, 1], [6, 6, 6]]]

    def together(scales):
        with model.using(scales):
            return completion_logprobs(model, PROMPTS, completions).sum()

    def alone(scales):
        with model.using(scales):
            return sum(
                distributions(model, prompt, completion)[t, token]
                for prompt, group in zip(PROMPTS, completions, strict=True)
                for completion in group
                for t, token in enumerate(completion)
            )

    got, expected = mx.grad(together)(scales), mx.grad(alone)(scales)
    for path in scales:
        assert_close(got[path], expected[path], 1e-4)  # of sums over 30 positions


@pytest.mark.parametrize("architecture", ["jamba", "gpt_bigcode"])
def test_states_come_in_the_order_of_the_prompts(architecture):
    model = model_of(architecture)
    if architecture == "gpt_bigcode":  # whose head mlx-lm does not separate
        with pytest.raises(ModelError, match="does not give this architecture's hidden states"):
            last_hidden(model, PROMPTS)
        return
    expected = [model.hidden(mx.array([prompt]))[0, -1] for prompt in PROMPTS]
    assert_close(last_hidden(model, PROMPTS), mx.stack(expected))


@pytest.mark.parametrize("architecture", sorted(MODES))
def test_rows_that_come_and_go_are_refused_by_name_where_padding_goes_wrong(architecture):
    with pytest.raises(ModelError, match=f"mlx-lm cannot decode {architecture} in a batch: "):
        ContinuousBatch(model_of(architecture))


def test_rows_with_their_own_scales_are_refused_where_padding_goes_wrong():
    model = model_of("jamba")
    for _ in model.decompose():
        pass
    with model.using(random_scales(model.shapes, rows=len(PROMPTS))):
        for read in (
            lambda: sample(model, PROMPTS, GREEDY),
            lambda: completion_logprobs(model, PROMPTS, [[[1]]] * len(PROMPTS)),
            lambda: last_hidden(model, PROMPTS),
        ):
            with pytest.raises(ModelError, match="mlx-lm cannot decode jamba in a batch"):
                read()


def test_a_fault_that_no_table_knows_is_found_by_the_test_of_the_model_itself(monkeypatch):
    for name in ("jamba", "nemotron_h", "gemma2", "gpt_bigcode"):
        monkeypatch.delitem(UNBATCHED, name)
        assert batching(model_of(name)).mode == MODES[name]


def test_rounding_of_half_precision_is_no_fault_and_padding_still_is():
    for name, mode in {"llama": "padded", "falcon_h1": "padded", "mamba": "equal"}.items():
        model = model_of(name)
        model.network.set_dtype(mx.bfloat16)
        assert batching(model).mode == mode


def test_finding_out_changes_nothing(tiny_model):
    mx.random.seed(7)
    expected = mx.random.uniform(shape=(4,))
    mx.random.seed(7)
    worn = random_scales(tiny_model.shapes)
    with tiny_model.using(worn):
        found = batching(tiny_model)
        assert tiny_model.worn == worn
        assert batching(tiny_model) is found
    assert mx.array_equal(mx.random.uniform(shape=(4,)), expected)
