"""Where time goes: operations, bytes and seconds of the parts of a training step, of a prefill
and of decoding, and their share of what this machine can do.

Operations are counted from shapes: a linear weight takes 2 · out · in per token, live scales
4 · n · k per token and weight; a backward pass takes both once more, since no weight but z has
a gradient. Attention over short sequences, norms and drawing are left out. The peaks are those
of `svf.measure_speed`, measured in the same run.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import mlx.core as mx

from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.reading import completion_logprobs, prefill
from mlx_t2.sampling import SamplingConfig, sample, stream
from mlx_t2.svf import Form, Scales, Speed, base_layers, measure_speed, weight_shape
from mlx_t2.tasks import get_task
from mlx_t2.training import Optimizer, TrainConfig

from .gradient_pass import Batch, draw_batch, draw_scales, shared_gradient
from .measurement import DEFAULT_MODEL, Measurement

_PROBLEMS, _GROUP, _LENGTH = 9, 8, 14
_DECODED = 16


@dataclass(frozen=True)
class Costs:
    """Operations per token of a model, and bytes of a token step."""

    blocks: float
    """Linear weights, without the head."""
    head: float
    """Scores of one token."""
    live: float
    """Scales on all weights that wear some."""
    read: float
    """Bytes of all weights."""
    read_live: float
    """Bytes of q, twice."""


def count_costs(model: SVFModel) -> Costs:
    """The costs of a model, from its shapes."""
    network: Any = model.network
    bases = {**base_layers(network), **{p: one.base for p, one in model.layers.items()}}
    weights = [weight_shape(layer) for layer in bases.values()]
    table = network.model.embed_tokens.weight
    layers = model.layers.values()
    return Costs(
        2.0 * sum(out * inner for out, inner in weights),
        2.0 * table.size,
        4.0 * sum(min(one.out, one.inner) * one.rank for one in layers),
        sum(base.weight.nbytes for base in bases.values()) + table.nbytes,
        2.0 * model.basis_bytes,
    )


def measure(runs: int, name: str = DEFAULT_MODEL) -> Iterator[Measurement]:
    """Each part as it is measured: seconds, and what they are made of."""
    model = decompose(load(name))
    speed, costs = measure_speed(), count_costs(model)
    yield Measurement(
        "peak, operations", speed.operations_per_second / 1e9, None, "", "GFLOP/s"
    )
    yield Measurement("peak, reading", speed.bytes_per_second / 1e9, None, "", "GB/s")
    for part in _parts(model, costs):
        yield _measure_part(part, speed, runs)


@dataclass(frozen=True)
class Part:
    """One part of the work."""

    name: str
    work: Callable[[], object]
    operations: float
    read: float
    """Bytes that have to be read, weights and bases once for each pass over them."""


def _measure_part(part: Part, speed: Speed, runs: int) -> Measurement:
    part.work()  # warm
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        part.work()
        seconds.append(time.perf_counter() - start)
    spent = median(seconds)
    shares = (
        part.operations / spent / speed.operations_per_second,
        part.read / spent / speed.bytes_per_second,
    )
    against = (
        f"{part.operations / 1e9:.1f} GFLOP, {part.read / 1e9:.2f} GB; "
        f"{100 * shares[0]:.0f} % of the peak in operations, {100 * shares[1]:.0f} % in bytes"
    )
    return Measurement(part.name, spent, None, against)


def _parts(model: SVFModel, costs: Costs) -> Iterator[Part]:
    prompts = [model.encode(p.messages) for p in get_task("expression").step(_PROBLEMS, 0)]
    scales = draw_scales(model.shapes)
    mx.eval(scales)
    yield from _sampling(model, costs, prompts, scales)
    yield _prefill(model, costs, prompts)
    batch = draw_batch(prompts, _GROUP, _LENGTH, model.tokenizer.vocab_size)
    yield from _gradient(model, costs, batch, scales)
    yield _update(scales)
    yield from _decoding(model, costs, prompts[0], scales)


def _sampling(
    model: SVFModel, costs: Costs, prompts: list[list[int]], scales: Scales
) -> Iterator[Part]:
    """All completions of a step, made longer than they are by a score that no end reaches."""
    rows, read = len(prompts) * _GROUP, sum(map(len, prompts))
    config = SamplingConfig(temperature=1.0, max_tokens=_LENGTH)
    tokens = 0

    def work(form: Form) -> None:
        nonlocal tokens
        with model.using(dict(scales), form, acts_on="answer"):
            drawn = sample(model, prompts, config, _GROUP)
        tokens = sum(len(one.tokens) for group in drawn for one in group)

    work("live")
    plain = (read + tokens) * costs.blocks + tokens * costs.head
    matrices = {"live": costs.live, "beside": costs.live / 2}
    for form, per_token in matrices.items():
        yield Part(
            f"sampling {rows} completions, {tokens} tokens, {form}",
            lambda form=form: work(form),  # pyright: ignore[reportArgumentType]  a Form
            plain + tokens * per_token,
            _LENGTH * (costs.read + costs.read_live * (1 if form == "live" else 0.5)),
        )


def _prefill(model: SVFModel, costs: Costs, prompts: list[list[int]]) -> Part:
    tokens = sum(len(prompt) - 1 for prompt in prompts)

    def work() -> None:
        read = prefill(model, prompts)
        mx.eval([cache.state for cache in read.caches])

    name = f"prefill of {len(prompts)} prompts, {tokens} tokens, base"
    return Part(name, work, tokens * costs.blocks, costs.read)


def _gradient(model: SVFModel, costs: Costs, batch: Batch, scales: Scales) -> Iterator[Part]:
    """Acting on the answer: prompts are read without a gradient."""
    answered = len(batch.rows) * _LENGTH
    plain = sum(map(len, batch.prompts)) * costs.blocks
    once = answered * (costs.blocks + costs.head + costs.live)

    def forward() -> None:
        with model.using(scales, acts_on="answer"):
            mx.eval(completion_logprobs(model, batch.prompts, batch.completions_P_G))

    name = f"gradient pass, {len(batch.rows)} × {_LENGTH} tokens"
    read = costs.read + costs.read_live
    yield Part(f"{name}, forward alone", forward, plain + once, read)
    yield Part(
        f"{name}, forward and backward",
        lambda: shared_gradient(model, batch, scales, "answer"),
        plain + 2 * once,
        2 * read,
    )


def _update(scales: Scales) -> Part:
    optimizer = Optimizer(TrainConfig())
    state = optimizer.initial(scales)
    numbers = sum(z.size for z in scales.values())

    def work() -> None:
        mx.eval(optimizer.step(scales, scales, state))

    return Part(f"optimizer, {numbers:,} numbers", work, 10.0 * numbers, 4.0 * 7 * numbers)


def _decoding(
    model: SVFModel, costs: Costs, prompt: list[int], scales: Scales
) -> Iterator[Part]:
    config = SamplingConfig(temperature=0, max_tokens=_DECODED)
    ways: list[tuple[str, Scales, Form, float]] = [
        ("base", {}, "live", 0.0),
        ("live", scales, "live", 1.0),
        ("beside", scales, "beside", 0.5),
    ]
    for name, worn, form, share in ways:
        outfit = model.make_outfit(worn, form)
        tokens = 0

        def work(outfit=outfit) -> None:
            nonlocal tokens
            with model.wearing(outfit, "answer"):
                tokens = sum(1 for _ in stream(model, prompt, config))

        work()
        yield Part(
            f"one answer of {tokens} tokens behind {len(prompt)}, {name}",
            work,
            (len(prompt) + tokens) * costs.blocks + tokens * (costs.head + share * costs.live),
            (tokens + 1) * (costs.read + share * costs.read_live),
        )
