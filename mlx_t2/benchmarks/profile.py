"""Where time goes: operations, bytes and seconds of the parts of a training step, of a prefill
and of decoding, and their share of what this machine can do.

Operations are counted from shapes: a linear weight takes 2 · out · in per token, live scales
4 · n · k per token and weight; a backward pass takes both once more, since no weight but z has
a gradient. Attention over short sequences, norms and drawing are left out. The peaks are those
of `svf.measure_speed`, measured in the same run.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from statistics import median
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from mlx_t2.models import Outfit, SVFModel, decompose, load
from mlx_t2.reading import completion_logprobs, prefill
from mlx_t2.sampling import SamplingConfig, draw_tokens, sample, stream
from mlx_t2.svf import Form, Scales, Speed, base_layers, measure_speed, weight_shape
from mlx_t2.tasks import get_task
from mlx_t2.training import Optimizer, TrainConfig

from .gradient_pass import Batch, draw_batch, draw_scales, shared_gradient
from .measurement import DEFAULT_MODEL, Measurement

_PROBLEMS, _GROUP, _LENGTH = 9, 8, 14
_DECODED = 16
_TOKEN = mx.array([[0]])


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
    with model.using({}):
        bases = base_layers(model.network)
    bases = {path: layer for path, layer in bases.items() if path != "lm_head"}
    weights = [weight_shape(layer) for layer in bases.values()]
    scores = _find_head(model)(mx.zeros((1, model.hidden(_TOKEN).shape[-1])))
    layers = model.layers.values()
    return Costs(
        2.0 * sum(out * inner for out, inner in weights),
        2.0 * scores.size * model.hidden(_TOKEN).shape[-1],
        4.0 * sum(min(one.out, one.inner) * one.rank for one in layers),
        sum(map(_count_bytes, bases.values())) + _count_bytes(_find_table(model)),
        2.0 * model.basis_bytes,
    )


def _find_table(model: SVFModel) -> nn.Module:
    """What the head multiplies with: a layer of its own, or the table of embeddings."""
    network: Any = model.network
    return network.get("lm_head", network.model.embed_tokens)


def _find_head(model: SVFModel) -> Callable[[mx.array], mx.array]:
    table: Any = _find_table(model)
    return getattr(table, "as_linear", table)


def _count_bytes(layer: nn.Module) -> int:
    return sum(part.nbytes for part in layer.values() if isinstance(part, mx.array))


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
    yield from _token_step(model, costs, prompts, scales)
    yield _prefill(model, costs, prompts)
    batch = draw_batch(prompts, _GROUP, _LENGTH, model.tokenizer.vocab_size)
    yield from _gradient(model, costs, batch, scales)
    yield _update(scales)
    yield from _decoding(model, costs, prompts[0], scales)


def _sampling(
    model: SVFModel, costs: Costs, prompts: list[list[int]], scales: Scales
) -> Iterator[Part]:
    """All completions of a step, none of which ends before its limit; scales change with every
    step, so matrices beside the weights are made in each.
    """
    rows, read = len(prompts) * _GROUP, sum(map(len, prompts))
    config = SamplingConfig(temperature=1.0, max_tokens=_LENGTH)
    step = count()

    def work(form: Form) -> None:
        changed = {path: z + 1e-6 * next(step) for path, z in scales.items()}
        with ignoring_ends(model), model.using(changed, form, acts_on="answer"):
            sample(model, prompts, config, _GROUP)

    tokens = rows * _LENGTH
    plain = (read + tokens) * costs.blocks + tokens * costs.head
    made = sum(2.0 * min(one.out, one.inner) ** 2 * one.rank for one in model.layers.values())
    forms: list[tuple[Form, float]] = [
        ("live", tokens * costs.live),
        ("beside", tokens * costs.live / 2 + made),
    ]
    for form, operations in forms:
        yield Part(
            f"sampling {rows} × {_LENGTH} tokens, {form}",
            partial(work, form),
            plain + operations,
            _LENGTH * (costs.read + costs.read_live * (1 if form == "live" else 0.5)),
        )


def _token_step(
    model: SVFModel, costs: Costs, prompts: list[list[int]], scales: Scales
) -> Iterator[Part]:
    """One step of all rows: the blocks in each form, the head, and drawing a token per row."""
    rows = len(prompts) * _GROUP
    forms: list[tuple[Form, float]] = [("live", 1.0), ("beside", 0.5), ("folded", 0.0)]
    for form, share in forms:
        outfit = model.make_outfit(scales, form)

        def step(outfit: Outfit = outfit) -> None:
            with model.wearing(outfit, "answer"):
                read = prefill(model, prompts[:1])
                read.repeat([rows])
                tokens = mx.array(read.last)[:, None]
                mx.eval(model.hidden(tokens, read.caches))

        operations = rows * (costs.blocks + share * costs.live)
        read = costs.read + share * costs.read_live
        name = f"one prompt read, and a token step of {rows} rows behind it, blocks, {form}"
        yield Part(name, step, operations + len(prompts[0]) * costs.blocks, 2 * read)
    states = mx.random.normal((1, rows, model.hidden(_TOKEN).shape[-1]))
    score = _find_head(model)
    scores = score(states)[0]
    drawn = mx.random.uniform(shape=(rows,), key=mx.random.key(0))
    mx.eval(states, scores, drawn)
    head = f"the head of {rows} rows"
    yield Part(
        head,
        lambda: mx.eval(score(states)),
        rows * costs.head,
        4.0 * scores.size,
    )
    yield Part(
        f"drawing a token for each of {rows} rows",
        lambda: mx.eval(draw_tokens(scores, [1.0] * rows, drawn)),
        0.0,
        4.0 * scores.size,
    )


@contextmanager
def ignoring_ends(model: SVFModel) -> Iterator[None]:
    """Inside the block no token ends an answer."""
    ends = model.eos_ids
    model.eos_ids = frozenset()
    try:
        yield
    finally:
        model.eos_ids = ends


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
