"""What keys and values take, beside what caches of that length hold."""

import mlx.core as mx
import pytest
from architectures import tiny
from helpers import tiny_tokenizer

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.serving import ServingConfig
from mlx_t2.serving.admission import find_budget, measure_caches


def held(model, count) -> int:
    """Bytes of the tokens that a prompt of that length leaves in the caches."""
    caches = model.new_cache({})
    model.extend(mx.array([[5 + k % 50 for k in range(count)]]), caches)
    total = 0
    for cache in caches:
        if getattr(cache, "keys", None) is None:
            total += cache.nbytes
            continue
        used = min(count, getattr(cache, "max_size", count))
        total += sum(a[..., :used, :].nbytes for a in (cache.keys, cache.values))
    return total


@pytest.mark.parametrize("name", ["llama", "gemma3_text", "qwen3_next"])
def test_sizes_are_those_of_the_caches(name):
    model = SVFModel(name, tiny(name), tiny_tokenizer())
    sizes = measure_caches(model)
    for count in (4, 7, 40):
        assert sizes.bytes_at(count) == held(model, count)


def test_there_is_always_room_for_something():
    assert find_budget(1 << 60) == 64 << 20
    assert find_budget(0) > 64 << 20


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_rows": 0}, "max_rows: got 0, expected 1 or more"),
        ({"cache_bytes": -1}, "cache_bytes: got -1, expected 0 or more"),
        ({"context": 1}, "context: got 1, expected 2 or more"),
        ({"wait_s": float("nan")}, "wait_s: got nan, expected more than 0"),
    ],
)
def test_limits_out_of_range_are_named(fields, said):
    with pytest.raises(ConfigError, match=said):
        ServingConfig(**fields)
