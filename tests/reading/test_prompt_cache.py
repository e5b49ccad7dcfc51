"""Prompts that were read, for those that begin alike."""

import mlx.core as mx
import pytest
from helpers import assert_close, random_scales

from mlx_t2.reading import PromptCache, read_alone
from mlx_t2.svf import BASE

PROMPT = [5, 6, 7, 8, 9, 10, 11]


@pytest.fixture
def cache(tiny_model) -> PromptCache:
    return PromptCache(tiny_model, 1 << 20)


def read(model, tokens, begun=None, scales=BASE):
    return read_alone(model, tokens, scales, begun)


def next_scores(model, caches, last):
    return model.logits_at(mx.array([[last]]), caches, mx.arange(1))


def test_the_longest_beginning_is_given_out(tiny_model, cache):
    for count in (3, 5):
        cache.put("base", PROMPT[:count], read(tiny_model, PROMPT[: count + 1]))
    assert cache.count("base", [*PROMPT[:4], 50, 51]) == 4
    assert cache.count("another", PROMPT) == 0
    assert cache.take("base", [*PROMPT[:4], 50, 51], BASE).count == 4
    assert cache.take("base", PROMPT, BASE).count == 5
    assert cache.take("base", PROMPT[:3], BASE).count == 2  # all but the last token
    assert cache.take("base", [50, 51], BASE).count == 0
    assert cache.take("another", PROMPT, BASE).count == 0


def test_what_begins_a_longer_prompt_is_not_kept_twice(tiny_model, cache):
    cache.put("base", PROMPT[:4], read(tiny_model, PROMPT[:5]))
    size = cache.nbytes
    cache.put("base", PROMPT[:6], read(tiny_model, PROMPT))
    assert cache.nbytes == 1.5 * size
    cache.put("base", PROMPT[:4], read(tiny_model, PROMPT[:5]))
    assert cache.nbytes == 1.5 * size
    cache.put("other", PROMPT[:4], read(tiny_model, PROMPT[:5]))
    assert cache.nbytes == 2.5 * size


def test_reading_on_from_a_copy_leaves_what_is_kept_as_it_is(tiny_model, cache):
    cache.put("base", PROMPT[:5], read(tiny_model, PROMPT[:6]))
    cold = next_scores(tiny_model, read(tiny_model, PROMPT), PROMPT[-1])
    other = [*PROMPT[:3], 40, 41]  # in the place of what is kept
    for _ in range(2):
        begun = cache.take("base", other, BASE)
        caches = read(tiny_model, other, begun)
        assert_close(
            next_scores(tiny_model, caches, other[-1]),
            next_scores(tiny_model, read(tiny_model, other), other[-1]),
        )
        begun = cache.take("base", PROMPT, BASE)
        assert begun.count == 5
        warm = next_scores(tiny_model, read(tiny_model, PROMPT, begun), PROMPT[-1])
        assert_close(warm, cold)


def test_what_is_taken_belongs_to_the_scales_it_is_taken_for(tiny_model, cache):
    scales = random_scales(tiny_model.shapes)
    cache.put("z", PROMPT[:5], read(tiny_model, PROMPT[:6], None, scales))
    assert cache.take("z", PROMPT, scales).caches.scales is scales
    assert cache.take("elsewhere", PROMPT, scales).caches.scales is scales


def test_the_least_recently_used_goes_first(tiny_model):
    one = 5 * 256
    cache = PromptCache(tiny_model, 2 * one)
    prompts = [[k, *PROMPT[:5]] for k in (20, 21, 22)]
    for prompt in prompts[:2]:
        cache.put("base", prompt[:5], read(tiny_model, prompt))
    cache.take("base", prompts[0], BASE)
    cache.put("base", prompts[2][:5], read(tiny_model, prompts[2]))
    assert cache.nbytes == 2 * one
    assert [cache.take("base", p, BASE).count for p in prompts] == [5, 0, 5]
    cache.clear()
    assert cache.nbytes == 0


def test_what_is_too_large_is_not_kept_and_drives_nothing_out(tiny_model):
    cache = PromptCache(tiny_model, 5 * 256)
    cache.put("base", PROMPT[:4], read(tiny_model, PROMPT[:5]))
    cache.put("base", [9] * 6, read(tiny_model, [9] * 7))
    assert cache.take("base", PROMPT, BASE).count == 4
    nothing = PromptCache(tiny_model, 0)
    nothing.put("base", PROMPT[:4], read(tiny_model, PROMPT[:5]))
    assert nothing.nbytes == 0
