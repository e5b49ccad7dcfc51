"""Speed, each figure beside what it is compared with, in one run. Knows no terminal."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import mlx.core as mx

from mlx_t2.adaptation import ClassifierStrategy, Router
from mlx_t2.experts import BUNDLED, Library
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.sampling import SamplingConfig, last_hidden
from mlx_t2.svf import Scales, decompose_weight, dense_weight
from mlx_t2.tasks import get_task
from mlx_t2.training import TrainConfig, train


@dataclass(frozen=True)
class Row:
    """One measurement: medians in seconds, and how many times as long the other takes."""

    name: str
    ours: float
    other: float | None
    """None where nothing is compared with."""
    against: str

    @property
    def ratio(self) -> float | None:
        """other / ours."""
        return None if self.other is None else self.other / self.ours


def measure(runs: int = 5) -> Iterator[Row]:
    """Every row, one after another, on the default model."""
    model = decompose(load())
    scales = Library().find("mathematics").scales
    yield _one_weight(model, min(runs, 3))
    yield _switch(model, scales, runs)
    yield _decode(model, scales, runs)
    yield _two_pass(model, runs)
    yield _step(model)


def _interleaved(ours: Callable, other: Callable, runs: int) -> tuple[float, float]:
    """Median seconds of both, run in turn after one run of each that is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for counted in range(-1, runs):
        for kept, work in zip(times, (ours, other), strict=True):
            start = time.perf_counter()
            work()
            if counted >= 0:
                kept.append(time.perf_counter() - start)
    return median(times[0]), median(times[1])


def _weight(model: SVFModel, path: str) -> mx.array:
    layer = dict(model.network.named_modules())[path]
    return dense_weight(layer.base)


def _one_weight(model: SVFModel, runs: int) -> Row:
    weight = _weight(model, next(iter(model.shapes)))
    mx.eval(weight)

    def ours() -> None:
        basis = decompose_weight(weight)
        mx.eval(basis.q, basis.s)

    def other() -> None:
        mx.eval(mx.linalg.svd(weight, stream=mx.cpu))

    return Row("decompose one MLP weight", *_interleaved(ours, other, runs), "mx.linalg.svd")


def _switch(model: SVFModel, scales: Scales, runs: int) -> Row:
    path = next(iter(scales))
    u, s, vt = mx.linalg.svd(_weight(model, path), stream=mx.cpu)
    mx.eval(u, s, vt)
    r = s.shape[0]

    def ours() -> None:
        with model.using(scales):
            pass

    def other() -> None:
        mx.eval([(u[:, :r] * (s * scales[path])) @ vt[:r] for _ in scales])

    name = "switch to an expert"
    return Row(
        name, *_interleaved(ours, other, runs), "composing U diag(σ z) Vᵀ for all weights"
    )


def _decode(model: SVFModel, scales: Scales, runs: int, tokens: int = 16) -> Row:
    def decode() -> None:
        for _ in range(tokens):
            mx.eval(model.network(mx.array([[1]])))

    def ours() -> None:
        with model.using(scales, form="folded"):
            start = time.perf_counter()
            decode()
            folded.append(time.perf_counter() - start)

    folded: list[float] = []
    _, plain = _interleaved(ours, decode, runs)
    return Row(
        f"{tokens} forward passes of a token, folded expert",
        median(folded),
        plain,
        "plain mlx-lm",
    )


def _two_pass(model: SVFModel, runs: int) -> Row:
    experts = {name: Library().find(name) for name in ("mathematics", "code", "reasoning")}
    router = Router.load(BUNDLED / model.name / "router.safetensors")
    generator = AdaptiveGenerator(model, ClassifierStrategy(experts, router))
    messages = get_task("reasoning-shared").problems("test", 1)[0].messages
    prompt = model.encode(messages)

    def ours() -> None:
        next(generator.stream(messages, SamplingConfig(temperature=0.0)))

    def other() -> None:
        mx.eval(last_hidden(model, [prompt]))
        mx.eval(last_hidden(model, [prompt]))

    name = "two passes, to the first token"
    return Row(name, *_interleaved(ours, other, runs), "two plain prefills of the prompt")


def _step(model: SVFModel) -> Row:
    config = TrainConfig(steps=6, prompts=8, group=8, eval_every=6, validation=8, test=0)
    with TemporaryDirectory() as folder:
        reports = list(train(model, get_task("code"), config, Path(folder) / "run"))
    seconds = median(report.seconds for report in reports[1:-1])
    return Row("training step, 8 problems x 8 completions", seconds, None, "")
