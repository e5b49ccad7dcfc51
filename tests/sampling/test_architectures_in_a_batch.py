"""Rows that a batch pads, on tiny random models of every architecture that is not refused."""

import pytest
from architectures import ARCHITECTURES, tiny
from helpers import tiny_tokenizer

from mlx_t2.errors import ModelError
from mlx_t2.models import SVFModel
from mlx_t2.sampling import ContinuousBatch, SamplingConfig, sample
from mlx_t2.sampling.row_cache import UNBATCHED
from mlx_t2.svf import REFUSED

WITHOUT_MERGE = {"deepseek_v41", "llama4"}
PROMPTS = [list(range(5, 16)), [*range(5, 11), 22], [*range(5, 11), 30, 31, 32]]
GREEDY = SamplingConfig(temperature=0, max_tokens=4)
BATCHED = sorted(set(ARCHITECTURES) - set(REFUSED) - set(UNBATCHED) - WITHOUT_MERGE)


def model_of(architecture: str) -> SVFModel:
    return SVFModel(architecture, tiny(architecture), tiny_tokenizer())


@pytest.mark.parametrize("architecture", BATCHED)
def test_a_padded_row_decodes_what_it_decodes_alone(architecture):
    model = model_of(architecture)
    together = sample(model, PROMPTS, GREEDY)
    assert together == [sample(model, [prompt], GREEDY)[0] for prompt in PROMPTS]


@pytest.mark.parametrize("architecture", BATCHED)
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


@pytest.mark.parametrize("architecture", sorted({*UNBATCHED, *WITHOUT_MERGE}))
def test_an_architecture_that_cannot_be_batched_is_refused_by_name(architecture):
    with pytest.raises(ModelError, match=f"mlx-lm cannot decode {architecture} in a batch: "):
        sample(model_of(architecture), PROMPTS, GREEDY)
