"""Rows that join, finish and leave a batch, each under its own scales."""

import random

import mlx.core as mx
import pytest
from architectures import tiny
from helpers import random_scales, tiny_tokenizer

from mlx_t2.errors import ConfigError, ModelError, ShapeError
from mlx_t2.models import SVFModel
from mlx_t2.sampling import ContinuousBatch, SamplingConfig, sample
from mlx_t2.svf import Recipe

GREEDY = SamplingConfig(temperature=0, max_tokens=12)


def alone(model, prompt, scales, config=GREEDY) -> list[int]:
    """One full forward a token, no cache and no neighbours."""
    tokens = list(prompt)
    with model.using(scales):
        for _ in range(config.max_tokens):
            tokens.append(mx.argmax(model.network(mx.array([tokens]))[0, -1]).item())
            if tokens[-1] in model.eos_ids:
                break
    return tokens[len(prompt) :]


def drained(batch: ContinuousBatch) -> dict[int, list[int]]:
    """{row: its tokens}, stepped until nothing comes."""
    tokens: dict[int, list[int]] = {}
    while steps := batch.step():
        for step in steps:
            tokens.setdefault(step.row, []).append(step.token)
    return tokens


@pytest.mark.parametrize("seed", range(4))
def test_every_row_gets_the_tokens_it_would_get_alone_whoever_joins_or_leaves(tiny_model, seed):
    rng = random.Random(seed)
    experts = [{}, *(random_scales(tiny_model.shapes, k, spread=0.6) for k in range(3))]
    batch = ContinuousBatch(tiny_model, max_rows=4)
    wanted, got = {}, {}
    removed = set()
    for _ in range(14):
        prompt = [rng.randrange(3, 60) for _ in range(rng.randrange(1, 14))]
        scales = rng.choice(experts)
        config = SamplingConfig(temperature=0, max_tokens=rng.randrange(1, 12))
        row = batch.insert(prompt, scales, config)
        wanted[row] = alone(tiny_model, prompt, scales, config)
        for _ in range(rng.randrange(3)):
            for step in batch.step():
                got.setdefault(step.row, []).append(step.token)
        if rng.random() < 0.2:
            gone = rng.choice(sorted(wanted))
            batch.remove(gone)
            removed.add(gone)
    for row, tokens in drained(batch).items():
        got.setdefault(row, []).extend(tokens)
    assert len({len(tokens) for tokens in wanted.values()}) > 1
    for row, tokens in wanted.items():
        if row in removed:
            assert got.get(row, []) == tokens[: len(got.get(row, []))]
        else:
            assert got[row] == tokens


def test_a_drawn_row_does_not_depend_on_its_neighbours(tiny_model):
    config = SamplingConfig(temperature=1, max_tokens=10, seed=5)
    expert = random_scales(tiny_model.shapes)
    single = ContinuousBatch(tiny_model)
    lonely = single.insert([5, 6, 7], expert, config)
    among = ContinuousBatch(tiny_model)
    for k in range(3):
        among.insert([9, 8 + k], {}, SamplingConfig(temperature=1, max_tokens=7, seed=k))
    crowded = among.insert([5, 6, 7], expert, config)
    assert drained(single)[lonely] == drained(among)[crowded]


def test_nothing_is_worn_between_steps(tiny_model):
    batch = ContinuousBatch(tiny_model)
    batch.insert([5, 6, 7], random_scales(tiny_model.shapes), GREEDY)
    batch.step()
    assert tiny_model.worn == {}
    with tiny_model.using(random_scales(tiny_model.shapes, 3)):
        sample(tiny_model, [[4, 5]], GREEDY)
        batch.step()
        assert tiny_model.has_rows is False


def test_bad_rows_are_refused_when_they_come(tiny_model):
    batch = ContinuousBatch(tiny_model)
    with pytest.raises(ConfigError, match="got no tokens"):
        batch.insert([], {}, GREEDY)
    with pytest.raises(ShapeError, match="nowhere: no such SVF layer"):
        batch.insert([5], {"nowhere": mx.ones((3,))}, GREEDY)
    assert batch.step() == []


def test_an_architecture_whose_padded_rows_are_wrong_is_refused(tiny_model):
    class Model(type(tiny_model.network)):
        pass

    Model.__module__ = "mlx_lm.models.jamba"
    tiny_model.network.__class__ = Model
    model = SVFModel("tiny-jamba", tiny_model.network, tiny_tokenizer())
    with pytest.raises(ModelError, match="tiny-jamba: mlx-lm cannot decode jamba in a batch"):
        ContinuousBatch(model)


def test_rows_of_a_mixture_of_experts_keep_theirs_too():
    model = SVFModel("tiny-moe", tiny("qwen3_moe"), tiny_tokenizer())
    for _ in model.decompose(Recipe(targets="all")):
        pass
    experts = [random_scales(model.shapes, seed, spread=0.3) for seed in range(3)]
    batch = ContinuousBatch(model, max_rows=3)
    prompts = [[5 + k, *range(6, 24)] for k in range(3)]  # long enough to be sorted by expert
    rows = [batch.insert(p, e, GREEDY) for p, e in zip(prompts, experts, strict=True)]
    got = drained(batch)
    for row, prompt, scales in zip(rows, prompts, experts, strict=True):
        assert got[row] == alone(model, prompt, scales)


def seen_scales(model, monkeypatch) -> list[set[int]]:
    """How many dimensions the z of the layers have, forward by forward."""
    seen, read = [], model.logits_at

    def noting(tokens, cache, at):
        seen.append({z.ndim for z in cache.scales.values()})
        return read(tokens, cache, at)

    monkeypatch.setattr(model, "logits_at", noting)
    return seen


def test_rows_of_the_same_arrays_wear_one_z_and_go_back_to_it_when_others_have_left(
    tiny_model, monkeypatch
):
    batch = ContinuousBatch(tiny_model)
    one, other = (random_scales(tiny_model.shapes, seed, spread=0.05) for seed in (1, 2))
    for k in range(4):  # mappings of their own, of the same arrays
        batch.insert([5 + k, 6, 7], dict(one), SamplingConfig(temperature=0, max_tokens=9))
    guest = batch.insert([4, 4], other, SamplingConfig(temperature=0, max_tokens=9))
    seen = seen_scales(tiny_model, monkeypatch)
    batch.step()
    assert seen[-1] == {2}
    batch.remove(guest)
    batch.step()
    batch.step()
    assert seen[-1] == {1}


def test_all_rows_may_be_given_up_while_others_wait(tiny_model):
    batch = ContinuousBatch(tiny_model, max_rows=2)
    rows = [batch.insert([5 + k, 6], {}, GREEDY) for k in range(4)]
    batch.step()
    for row in rows[:2]:
        batch.remove(row)
    assert set(drained(batch)) == set(rows[2:])
    batch.remove(rows[2])  # has ended
    assert batch.step() == []
