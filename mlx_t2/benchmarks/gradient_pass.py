"""The gradient of one step: prompts shared, each row on its own, and mlx-lm's LoRA; and acting
on the answer alone beside acting on all.

Completions and advantages are drawn from a seed, the same for every side; no model samples
them.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.tuner.trainer import default_loss
from mlx_lm.tuner.utils import linear_to_lora_layers

from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.reading import BaseReadings, completion_logprobs
from mlx_t2.svf import ActsOn, Arrays, Scales, Shapes
from mlx_t2.tasks import get_task
from mlx_t2.training import policy_loss

from .measurement import DEFAULT_MODEL, Measurement, interleave, peak_mb
from .questions import ask_questions

_LORA = {
    "rank": 8,
    "scale": 20.0,
    "dropout": 0.0,
    "keys": ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"],
}
PROMPT_LENGTHS = (64, 256, 1024)
"""The tokens of prompts behind which both kinds are measured."""
_SIDES = ("prepare_svf_pass", "prepare_lora_pass")
_THIS = "from mlx_t2.benchmarks import gradient_pass as g"


@dataclass(frozen=True)
class Batch:
    """Prompts with completions of one length, and one advantage per completion."""

    prompts: list[list[int]]
    completions_P_G: list[list[list[int]]]
    advantages_PG: list[float]

    @property
    def rows(self) -> list[tuple[list[int], list[int], float]]:
        """(prompt, completion, advantage) of each completion."""
        pairs = [
            (prompt, completion)
            for prompt, group in zip(self.prompts, self.completions_P_G, strict=True)
            for completion in group
        ]
        return [(*pair, a) for pair, a in zip(pairs, self.advantages_PG, strict=True)]


def draw_batch(
    prompts: list[list[int]], group: int, length: int, vocabulary: int, seed: int = 0
) -> Batch:
    """`group` completions per prompt, of `length` random tokens."""
    random = np.random.default_rng(seed)
    tokens = random.integers(0, vocabulary, (len(prompts), group, length))
    advantages = random.standard_normal(len(prompts) * group)
    return Batch(prompts, tokens.tolist(), advantages.tolist())


def draw_scales(shapes: Shapes, seed: int = 0) -> Scales:
    """Scales as a training leaves them: near 1, but not 1."""
    random = np.random.default_rng(seed)
    return {path: mx.array(random.normal(1, 0.02, shape)) for path, shape in shapes.items()}


def shared_gradient(
    model: SVFModel,
    batch: Batch,
    scales: Scales,
    acts_on: ActsOn = "all",
    readings: BaseReadings | None = None,
) -> Arrays:
    """The gradient as training computes it: one reading per prompt, for all its completions.

    readings: what sampling has read of the prompts.
    """
    length = len(batch.completions_P_G[0][0])
    advantages = mx.repeat(mx.array(batch.advantages_PG), length)

    def loss(scales: Scales) -> mx.array:
        with model.using(scales, acts_on=acts_on):
            logprobs = completion_logprobs(
                model, batch.prompts, batch.completions_P_G, readings=readings
            )
        return policy_loss(logprobs, None, advantages, len(batch.rows), 0.0)

    gradient: Any = mx.grad(loss)(scales)
    mx.eval(gradient)
    return gradient


def separate_gradient(model: SVFModel, batch: Batch, scales: Scales) -> Arrays:
    """The same gradient as a sum over rows, each read in full: prompt and completion."""

    def loss(
        scales: Scales, prompt: list[int], completion: list[int], advantage: float
    ) -> mx.array:
        tokens = [*prompt, *completion]
        at = mx.arange(len(prompt) - 1, len(tokens) - 1)
        with model.using(scales):
            logits = model.logits_at(mx.array([tokens[:-1]]), None, at)
        logprobs = -nn.losses.cross_entropy(logits, mx.array(completion))
        return -advantage * logprobs.sum() / len(batch.rows)

    total: Arrays = {path: mx.zeros_like(z) for path, z in scales.items()}
    for row in batch.rows:
        part: Any = mx.grad(loss)(scales, *row)
        total = {path: total[path] + part[path] for path in total}
        mx.eval(total)  # frees the graph of this row
    return total


def difference(got: Arrays, expected: Arrays) -> float:
    """‖got − expected‖ / ‖expected‖ of two gradients, each as one vector."""
    gap, whole = (
        mx.linalg.norm(mx.concatenate([part.flatten() for part in parts]))
        for parts in ([got[path] - expected[path] for path in expected], expected.values())
    )
    ratio: Any = (gap / whole).item()
    return ratio


def measure(runs: int, name: str = DEFAULT_MODEL) -> Iterator[Measurement]:
    """Seconds and exactness of a gradient pass, 8 × 8 × 12 tokens, and of one over real prompts
    that do not begin alike.
    """
    model = decompose(load(name))
    title = "gradient pass, 8 problems × 8 × 12 tokens"
    yield from _compare(model, title, _batch(model), runs)
    source, prompts = ask_questions(model, 8)
    title = f"gradient pass, 8 prompts of unlike beginnings ({source}) × 4 × 64 tokens"
    vocabulary = model.tokenizer.vocab_size
    yield from _compare(model, title, draw_batch(prompts, 4, 64, vocabulary), runs)


def _compare(model: SVFModel, name: str, batch: Batch, runs: int) -> Iterator[Measurement]:
    """The shared reading beside each row on its own: seconds, and the same gradient."""
    scales = draw_scales(model.shapes)
    gradients: dict[str, Arrays] = {}

    def ours() -> None:
        gradients["ours"] = shared_gradient(model, batch, scales)

    def other() -> None:
        gradients["other"] = separate_gradient(model, batch, scales)

    against, group = "each row on its own", len(batch.completions_P_G[0])
    target = "≥ 3" if group == 8 else ""
    yield Measurement(name, *interleave(ours, other, runs), against, target=target)
    error = difference(gradients["ours"], gradients["other"])
    yield Measurement(f"{name}, difference", error, None, against, "relative error", "≤ 1e-5")


def measure_memory() -> Iterator[Measurement]:
    """The peak of the default model's gradient pass, 8 × 8 × 12 tokens, beside LoRA's."""
    if sys.platform != "linux":
        return  # the peak of a process's memory is read from /proc
    name = "gradient pass, 8 problems × 8 × 12 tokens"
    mine, theirs = (peak_mb(f"{_THIS}\nrun = g.{side}()", "run()") for side in _SIDES)
    against = "mlx-lm's LoRA and loss, same layers and rows"
    yield Measurement(f"{name}, peak memory", mine, theirs, against, "MB", "≥ 0.83")


def measure_kinds(runs: int) -> Iterator[Measurement]:
    """Acting on the answer alone beside acting on all, by the length of the prompts. Where the
    base reads these, sampling has read them for the gradient, too.
    """
    model = decompose(load())
    scales, against = draw_scales(model.shapes), "acting on all"
    for length in PROMPT_LENGTHS:
        batch, readings = batch_of_length(model, length), BaseReadings(model)

        def answer(batch: Batch = batch, readings: BaseReadings = readings) -> None:
            shared_gradient(model, batch, scales, "answer", readings)

        def everything(batch: Batch = batch) -> None:
            shared_gradient(model, batch, scales)

        name = f"gradient pass, acting on the answer, 2 prompts of {length} tokens × 8 × 12"
        target = "≥ 3" if length == 256 else ""
        yield Measurement(name, *interleave(answer, everything, runs), against, target=target)
        if sys.platform == "linux":  # the peak of a process's memory is read from /proc
            mine, theirs = (
                peak_mb(f"{_THIS}\nrun = g.prepare_kind({length}, {kind!r})", "run()")
                for kind in ("answer", "all")
            )
            yield Measurement(f"{name}, peak memory", mine, theirs, against, "MB")


def batch_of_length(model: SVFModel, length: int) -> Batch:
    """8 completions of 12 tokens of each of 2 prompts of that many tokens, alike in none."""
    random = np.random.default_rng(0)
    prompts = random.integers(0, model.tokenizer.vocab_size, (2, length)).tolist()
    return draw_batch(prompts, 8, 12, model.tokenizer.vocab_size)


def prepare_kind(length: int, acts_on: ActsOn) -> Callable[[], object]:
    """Our gradient pass behind prompts of that many tokens, ready to run."""
    model = decompose(load())
    batch, scales = batch_of_length(model, length), draw_scales(model.shapes)
    with model.using(scales):
        mx.eval(model.network(mx.array([[0]])))  # the bases are read from disk here
    readings = BaseReadings(model)
    if acts_on == "answer":
        readings.read(batch.prompts)
    return lambda: shared_gradient(model, batch, scales, acts_on, readings)


def prepare_svf_pass() -> Callable[[], object]:
    """Our gradient pass on the default model, ready to run."""
    model = decompose(load())
    batch, scales = _batch(model), draw_scales(model.shapes)
    with model.using(scales):
        mx.eval(model.network(mx.array([[0]])))  # the bases are read from disk here
    return lambda: shared_gradient(model, batch, scales)


def prepare_lora_pass() -> Callable[[], object]:
    """The gradient of mlx-lm's LoRA on the same rows and layers, ready to run."""
    model = load()
    rows, network = _batch(model).rows, model.network
    train_lora_alone(network)
    return lambda: mx.eval(lora_gradient(network, rows))


def train_lora_alone(network: nn.Module) -> None:
    """Put mlx-lm's LoRA on the layers that wear scales here; nothing else trains."""
    network.freeze()
    layers: Any = network.layers
    linear_to_lora_layers(network, len(layers), _LORA)
    mx.eval(network.parameters())


def lora_gradient(
    network: nn.Module, rows: Sequence[tuple[list[int], list[int], float]]
) -> Any:
    """((loss, tokens), gradient) by mlx-lm's own loss: whole rows, padded on the right."""
    longest = max(len(prompt) + len(completion) for prompt, completion, _ in rows)
    tokens = mx.array([(p + c + [0] * longest)[:longest] for p, c, _ in rows])
    lengths = mx.array([[len(p), len(p) + len(c) - 1] for p, c, _ in rows])
    return nn.value_and_grad(network, default_loss)(network, tokens, lengths)


def _batch(model: SVFModel) -> Batch:
    prompts = [model.encode(problem.messages) for problem in get_task("expression").step(8, 0)]
    return draw_batch(prompts, 8, 12, model.tokenizer.vocab_size)
