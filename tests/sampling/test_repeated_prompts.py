"""A prompt that is asked several times, under experts that act on the answer alone."""

import mlx.core as mx
from helpers import assert_close, random_scales

from mlx_t2.models import decompose
from mlx_t2.reading import completion_logprobs
from mlx_t2.sampling import SamplingConfig, sample

PROMPTS = [[5, 6, 7, 8], [9, 10], [5, 6, 7, 8], [9, 10], [5, 6, 7, 8]]
GREEDY = SamplingConfig(temperature=0, max_tokens=6)


def count_read(model, monkeypatch):
    read = []
    extend = model.extend
    monkeypatch.setattr(
        model, "extend", lambda tokens, cache: read.append(tokens.size) or extend(tokens, cache)
    )
    return read


def test_each_row_is_answered_and_scored_as_alone(tiny_model):
    model = decompose(tiny_model)
    scales = random_scales(model.shapes, 1, 3.0, rows=len(PROMPTS))
    with model.using(scales, acts_on="answer"):
        texts = [group[0].tokens for group in sample(model, PROMPTS, GREEDY)]
        scores = completion_logprobs(model, PROMPTS, [[[4, 3]]] * len(PROMPTS))
    for row, prompt in enumerate(PROMPTS):
        own = {path: z[row] for path, z in scales.items()}
        with model.using(own, acts_on="answer"):
            assert sample(model, [prompt], GREEDY)[0][0].tokens == texts[row]
            alone = completion_logprobs(model, [prompt], [[[4, 3]]])
        assert_close(scores[2 * row : 2 * row + 2], alone)
    assert len(set(texts)) > 2


def test_its_prompt_is_read_once(tiny_model, monkeypatch):
    model = decompose(tiny_model)
    many = [PROMPTS[0]] * 8
    scales = random_scales(model.shapes, 1, rows=len(many))
    with model.using(scales, acts_on="answer"):
        sample(model, many, GREEDY)  # what may be read together is found now
        read = count_read(model, monkeypatch)
        sample(model, many, GREEDY)
        assert sum(read) == len(PROMPTS[0]) - 1
        read.clear()
        mx.eval(completion_logprobs(model, many, [[[4]]] * len(many)))
        assert sum(read) == len(PROMPTS[0]) - 1
