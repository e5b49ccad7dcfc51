"""Both passes, up to the first token."""

from collections.abc import Iterator

import mlx.core as mx

from mlx_t2.adaptation import prepare_strategy
from mlx_t2.experts import BUNDLED, Library
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.models import decompose, load
from mlx_t2.reading import last_hidden
from mlx_t2.sampling import SamplingConfig
from mlx_t2.tasks import get_task

from .measurement import Measurement, interleave


def measure(runs: int = 5) -> Iterator[Measurement]:
    """Every row, one after another."""
    model = decompose(load())
    bundled = Library(BUNDLED / model.name, bundled=None)
    strategy = prepare_strategy(model, bundled, adaptation="classifier").finish()
    generator = AdaptiveGenerator(model, strategy)
    messages = get_task("kind-shared").problems("test", 1)[0].messages
    prompt = model.encode(messages)

    def ours() -> None:
        next(generator.stream(messages, SamplingConfig(temperature=0.0)))

    def other() -> None:
        mx.eval(last_hidden(model, [prompt]))
        mx.eval(last_hidden(model, [prompt]))

    seconds, against = interleave(ours, other, runs), "two plain prefills of the prompt"
    yield Measurement("two passes, to the first token", *seconds, against, target="≥ 0.87")
