"""Decoding under an expert: folded, live, and 32 different ones in a batch."""

import time
from collections.abc import Iterator, Sequence
from statistics import median

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.generate import generate_step

from mlx_t2.experts import Library
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.sampling import ContinuousBatch, SamplingConfig
from mlx_t2.svf import Form, Scales

from .measurement import Measurement

_TOKENS = 32
_ROWS = 32
_QUESTION = {"role": "user", "content": "Tell me a long story about a sailor and the sea."}


def measure(runs: int = 5) -> Iterator[Measurement]:
    """Every row, one after another."""
    model, plain = decompose(load()), load()
    scales = Library().find("largest").scales
    prompt = model.encode([_QUESTION])
    forms: tuple[Form, ...] = ("folded", "live")
    for form in forms:
        with model.using(scales, form):
            pairs = [
                (_rate(model.network, prompt), _rate(plain.network, prompt))
                for _ in range(runs + 1)
            ][1:]
        ours, other = (median(side) for side in zip(*pairs, strict=True))
        target = "≥ 0.97" if form == "folded" else ""
        name = f"decoding, {form} expert"
        yield Measurement(name, ours, other, "plain mlx-lm", "tokens/s", target)
    # A fifth of the expert at most, so that no row ends its answer early.
    experts = [
        {path: 1 + 0.2 * (z - 1) * (k + 1) / _ROWS for path, z in scales.items()}
        for k in range(_ROWS)
    ]
    mx.eval(experts)
    alike = [experts[-1]] * _ROWS
    pairs = [
        (_batch_rate(model, prompt, experts), _batch_rate(model, prompt, alike))
        for _ in range(runs + 1)
    ]
    ours, other = (median(side) for side in zip(*pairs[1:], strict=True))
    name = f"batch of {_ROWS} with {_ROWS} experts"
    yield Measurement(name, ours, other, "the same batch with one, live", "tokens/s", "≥ 0.95")


def _rate(network: nn.Module, prompt: Sequence[int]) -> float:
    """Tokens per second of mlx-lm's own loop, after the first."""
    steps = generate_step(mx.array(list(prompt)), network, max_tokens=_TOKENS)
    next(steps)
    start = time.perf_counter()
    count = sum(1 for _ in steps)
    return count / (time.perf_counter() - start)


def _batch_rate(model: SVFModel, prompt: Sequence[int], rows: Sequence[Scales]) -> float:
    """Tokens per second while all rows are decoding."""
    batch = ContinuousBatch(model, max_rows=len(rows))
    config = SamplingConfig(temperature=0, max_tokens=_TOKENS)
    for scales in rows:
        batch.insert(prompt, scales, config)
    seconds = []
    start = time.perf_counter()
    while tokens := batch.step():
        now = time.perf_counter()
        if len(tokens) == len(rows):
            seconds.append(now - start)
        start = now
    batch.close()
    return len(rows) / median(seconds)
