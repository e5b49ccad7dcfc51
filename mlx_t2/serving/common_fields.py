"""Rows of the tables that chat and text completions share, and what they make of them.

Knows one request's settings; knows no prompts.
"""

import secrets
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from mlx_t2.sampling import SamplingConfig

from .fault import Fault
from .fields import Field, check_kind, read_fields

LONGEST_STOP = 1024
"""Characters of a text that ends a completion."""
MOST_TOKENS = 2**31 - 1
_LONGEST_IGNORED = 65536
_LEAST_TEMPERATURE = 1e-6
"""Below it the most probable token is taken: scores divided by less may not fit float32."""


def _read_stop(where: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        check_kind(where, value, "string", 1, LONGEST_STOP)
        return (value,)
    if not isinstance(value, list):
        check_kind(where, value, "string")
    check_kind(where, value, "list", 0, 4)
    for at, one in enumerate(value):
        check_kind(f"{where}.{at}", one, "string", 1, LONGEST_STOP)
    return tuple(value)


def _read_stream_options(where: str, value: Any) -> dict[str, Any]:
    return read_fields(value, _STREAM_OPTIONS, f"{where}.")


def _check_metadata(where: str, value: Any) -> None:
    for name, text in value.items():
        check_kind(f"{where}.{name[:64]}", text, "string")


def _read_mix(where: str, value: Any) -> dict[str, float]:
    if not value or len(value) > 64:
        raise Fault(
            f"{where}: got {len(value)} experts, expected 1 to 64", where, "invalid_value"
        )
    for name, coefficient in value.items():
        check_kind(f"{where}.{name[:64]}", coefficient, "number", -100, 100)
    return dict(value)


_STREAM_OPTIONS = (
    Field(name="include_usage", kind="boolean", default=False),
    Field(name="include_obfuscation", kind="boolean"),
)
SERVED = (
    Field(name="model", kind="string", is_required=True, is_nullable=False),
    Field(name="mix", kind="object", check=_read_mix),
    Field(name="stream", kind="boolean", default=False),
    Field(name="stream_options", kind="object", check=_read_stream_options),
    Field(name="max_tokens", kind="integer", least=0, most=MOST_TOKENS),
    Field(name="n", kind="integer", least=1, most=8, default=1),
    Field(name="seed", kind="integer", least=-(2**63), most=2**63 - 1),
    Field(name="stop", check=_read_stop, default=()),
    Field(name="temperature", kind="number", least=0, most=2, default=1.0),
    Field(name="top_p", kind="number", least=0, most=1, default=1.0),
    Field(name="top_k", kind="integer", least=-1, most=MOST_TOKENS, default=0),
    Field(name="min_p", kind="number", least=0, most=0.999999, default=0.0),
    Field(name="repetition_penalty", kind="number", least=0.01, most=100, default=1.0),
    Field(name="presence_penalty", kind="number", least=-2, most=2, default=0.0),
    Field(name="frequency_penalty", kind="number", least=-2, most=2, default=0.0),
)
NEUTRAL = (Field(name="logit_bias", kind="object", allowed=({},)),)
IGNORED = (Field(name="user", kind="string", most=_LONGEST_IGNORED),)
TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
IGNORED_IN_CHAT = (
    Field(name="metadata", kind="object", check=_check_metadata),
    Field(name="store", kind="boolean"),
    Field(name="service_tier", kind="string", allowed=TIERS),
    Field(name="safety_identifier", kind="string", most=64),
    Field(name="prompt_cache_key", kind="string", most=_LONGEST_IGNORED),
    Field(name="prompt_cache_retention", kind="string", allowed=("in_memory", "24h")),
    Field(name="prompt_cache_options", kind="object"),
    Field(name="parallel_tool_calls", kind="boolean"),
)


def build_configs(values: Mapping[str, Any], prompt: int = 0) -> tuple[SamplingConfig, ...]:
    """One per completion of a prompt, with seeds of their own.

    prompt: which of the request's prompts it is.
    """
    top_p = float(values["top_p"])
    top_k = max(0, values["top_k"])  # -1 is all, as elsewhere
    temperature = float(values["temperature"])
    settings: dict[str, Any] = {
        "temperature": temperature if temperature >= _LEAST_TEMPERATURE else 0.0,
        "top_p": top_p or 1.0,
        "top_k": top_k if top_p else 1,  # of no probability at all: the most probable alone
        "min_p": float(values["min_p"]),
        "repetition_penalty": float(values["repetition_penalty"]),
        "presence_penalty": float(values["presence_penalty"]),
        "frequency_penalty": float(values["frequency_penalty"]),
    }
    seeds = spread_seed(values["seed"], values["n"], prompt)
    return tuple(SamplingConfig(seed=seed, **settings) for seed in seeds)


def spread_seed(seed: int | None, n: int, prompt: int = 0) -> list[int]:
    """A seed for each of a prompt's n completions, from fresh entropy where none is given.

    The first of the first prompt is the one that was given. The others are hashes: the second
    completion of one seed is not the first of the next. Neither n nor the number of prompts
    changes a seed.
    """
    if seed is None:
        return [secrets.randbits(64) for _ in range(n)]
    first = seed % 2**64
    names = [f"{first}/{prompt}/{row}" if prompt else f"{first}/{row}" for row in range(n)]
    hashes = [blake2b(name.encode(), digest_size=8).digest() for name in names]
    seeds = [int.from_bytes(one) for one in hashes]
    return seeds if prompt else [first, *seeds[1:]]


def read_streaming(values: Mapping[str, Any]) -> bool:
    """Whether usage is wanted at the end of a stream.

    Raises: Fault where options of a stream come with no stream.
    """
    options = values["stream_options"]
    if options is None:
        return False
    if not values["stream"]:
        raise Fault(
            "stream_options: got an object without a stream, expected stream: true beside it",
            "stream_options",
            "invalid_value",
        )
    return options["include_usage"]
