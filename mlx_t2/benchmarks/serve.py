"""A server's engine under load: rows that wear unlike experts beside rows that wear one, a
short request beside a long prompt, and a conversation that goes on under another expert.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from statistics import median

from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel, decompose, find_limits, load
from mlx_t2.sampling import SamplingConfig
from mlx_t2.serving import Engine, Event, Failed, Order, Piece, ServingConfig

from .gradient_pass import draw_scales
from .measurement import Measurement

_ROWS = (1, 8, 16, 32)
_EXPERTS = 8
_TOKENS = 32
"""Tokens of each answer, where speed is measured."""
_LONG, _CONVERSATION = 4096, 512
"""Tokens of the prompt that is read beside a short one, and of the one that is shared."""
_SHORT = "Tell me a long story about a sailor and the sea."
_GREEDY = SamplingConfig(temperature=0)


def measure(runs: int = 5) -> Iterator[Measurement]:
    """Each measurement as it is made, on the default model."""
    model = decompose(load())
    experts = {f"x{k}": _draw_expert(model, k) for k in range(_EXPERTS)}
    engine = Engine(model, experts, config=ServingConfig(max_rows=max(_ROWS)))
    try:
        yield from _speeds(engine, runs)
        yield from _first_tokens(engine, model, runs)
    finally:
        engine.stop(within_s=1)


def _speeds(engine: Engine, runs: int) -> Iterator[Measurement]:
    for rows in _ROWS:
        mixed = [f"x{k % _EXPERTS}" for k in range(rows)]
        sides = {"base": ["base"] * rows, "one": ["x0"] * rows, "mixed": mixed}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for run in range(-1, runs):
            for name, wears in sides.items():
                rate = measure_rate(engine, wears, _TOKENS)
                if run >= 0:  # the first of each reads the prompt
                    rates[name].append(rate)
        base, one, mixed_rate = (median(rates[name]) for name in sides)
        where = f"{rows} {'row' if rows == 1 else 'rows'}"
        yield Measurement(f"{where}, one expert", one, base, "the base", "tokens/s")
        if rows > 1:
            worn = min(rows, _EXPERTS)
            name = f"{where}, {worn} experts"
            yield Measurement(name, mixed_rate, one, "one expert", "tokens/s", "≥ 0.95")


def _first_tokens(engine: Engine, model: SVFModel, runs: int) -> Iterator[Measurement]:
    limits, numbers = model.once(find_limits), count()
    longest = (limits.positions or limits.trained or 2 * _LONG) // 2
    long = min(_LONG, longest)
    beside, alone, first, second = [], [], [], []
    for _ in range(runs):
        tokens = make_prompt(model, long, next(numbers))
        alone.append(wait_for_token(engine, _ask(_SHORT)))
        beside.append(measure_beside(engine, tokens, _ask(_SHORT)))
        tokens = make_prompt(model, _CONVERSATION, next(numbers))
        for seconds, wear in ((first, "x0"), (second, "x1")):
            order = Order(tokens=tokens, wear=wear, configs=(_GREEDY,), max_tokens=1)
            seconds.append(wait_for_token(engine, order))
    name = f"first token of a short request beside a prompt of {long} tokens"
    yield Measurement(name, median(beside), median(alone), "alone", target="< 1 s")
    name = f"first token under a second expert, conversation of {_CONVERSATION} tokens"
    yield Measurement(name, median(second), median(first), "under the first")


class _Answer:
    """When the first token of an order was there, and all of them."""

    def __init__(self):
        self.started = time.perf_counter()
        self.first = self.tokens = 0.0
        self.is_over = threading.Event()
        self.failure = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Failed):
            self.failure = event.message
            self.is_over.set()
        if isinstance(event, Piece):
            self.first = self.first or time.perf_counter()
            self.tokens = float(event.completion_tokens)
            if event.finish_reason:
                self.is_over.set()

    def wait(self) -> "_Answer":
        """Until it has ended. Raises RuntimeError where it has failed."""
        self.is_over.wait()
        if self.failure:
            raise RuntimeError(self.failure)
        return self


def _send(engine: Engine, order: Order) -> _Answer:
    answer = _Answer()
    engine.submit(order, answer)
    return answer


def _ask(text: str, wear: str = "base", max_tokens: int = 1) -> Order:
    message = {"role": "user", "content": text}
    return Order(messages=(message,), wear=wear, configs=(_GREEDY,), max_tokens=max_tokens)


def measure_rate(engine: Engine, wears: Sequence[str], tokens: int) -> float:
    """Tokens per second of one answer for each of these, all at once."""
    started = time.perf_counter()
    sent = [_send(engine, _ask(_SHORT, wear, tokens)) for wear in wears]
    made = sum(answer.wait().tokens for answer in sent)
    return made / (time.perf_counter() - started)


def wait_for_token(engine: Engine, order: Order) -> float:
    """Seconds to its first token."""
    answer = _send(engine, order).wait()
    return answer.first - answer.started


def measure_beside(engine: Engine, tokens: Sequence[int], order: Order) -> float:
    """Seconds to the order's first token while a long prompt is being read."""
    long = _send(engine, Order(tokens=tuple(tokens), configs=(_GREEDY,), max_tokens=1))
    while not engine.counters()["prompts_reading"] and not long.is_over.is_set():
        time.sleep(0.001)
    seconds = wait_for_token(engine, order)
    long.wait()
    return seconds


def make_prompt(model: SVFModel, length: int, number: int) -> tuple[int, ...]:
    """A prompt of that many tokens; of every number, another one from the start."""
    words = model.tokenizer.encode(f"{number} times the sea, and the ship went on. ")
    return tuple((list(words) * length)[:length])


def _draw_expert(model: SVFModel, seed: int) -> Expert:
    """An expert that acts on the answer, and changes little: no answer ends early by it."""
    scales = {
        path: 1 + 0.02 * (seed + 1) / _EXPERTS * (z - 1)
        for path, z in draw_scales(model.shapes).items()
    }
    return Expert(
        name=f"x{seed}",
        scales=scales,
        base_model=model.name,
        base_fingerprint=model.fingerprint(),
        targets="mlp",
        rank=None,
        task="drawn",
        seed=seed,
        config={},
        metrics={},
        acts_on="answer",
    )
