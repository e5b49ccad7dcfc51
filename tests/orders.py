"""Orders for an engine, what is heard of them, and what a model says alone."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from helpers import random_scales

from mlx_t2.adaptation import Fixed
from mlx_t2.experts import Expert
from mlx_t2.generation import choose_messages
from mlx_t2.sampling import SamplingConfig, sample
from mlx_t2.serving import Engine, Failed, Order, Piece, ServingConfig, Started

GREEDY = SamplingConfig(temperature=0)
CHAT = ({"role": "user", "content": "the length of the list ages"},)


class Heard:
    """What a listener was told of one order."""

    def __init__(self):
        self.events = []
        self.number = 0
        self.rows = 1
        self._changed = threading.Condition()

    def __call__(self, event):
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait(self, until=None, timeout=30):
        """Until it has ended, or something is true of it; returns itself."""
        until = until or (lambda heard: heard.is_over)
        with self._changed:
            assert self._changed.wait_for(lambda: until(self), timeout), self.events[-3:]
        return self

    @property
    def is_over(self) -> bool:
        ends = [e for e in self.pieces if e.finish_reason]
        return self.failure is not None or len(ends) == self.rows

    @property
    def started(self) -> Started:
        return next(e for e in self.events if isinstance(e, Started))

    @property
    def pieces(self) -> list[Piece]:
        return [e for e in self.events if isinstance(e, Piece)]

    @property
    def failure(self) -> Failed | None:
        return next((e for e in self.events if isinstance(e, Failed)), None)

    def text(self, row=0) -> str:
        assert self.failure is None, self.failure
        return "".join(e.text for e in self.pieces if e.row == row)

    def last(self, row=0) -> Piece:
        return [e for e in self.pieces if e.row == row][-1]

    def scores(self, row=0):
        return [score for e in self.pieces if e.row == row for score in e.scores]


def order(messages=CHAT, wear="base", configs=(GREEDY,), max_tokens=12, **fields) -> Order:
    if "text" in fields or "tokens" in fields:
        messages = ()
    return Order(messages=messages, wear=wear, configs=configs, max_tokens=max_tokens, **fields)


def put(engine, one: Order) -> Heard:
    heard = Heard()
    heard.rows = len(one.configs)
    heard.number = engine.submit(one, heard)
    return heard


def ask(engine, one: Order) -> Heard:
    """The order's answer, waited for."""
    return put(engine, one).wait()


@contextmanager
def serving(model, experts=None, library=None, router=None, **config) -> Iterator[Engine]:
    settings = ServingConfig(**{"cache_bytes": 1 << 24} | config)
    engine = Engine(model, experts or {}, library, settings, router)
    try:
        yield engine
    finally:
        engine.stop(within_s=0)


def make_expert(model, name="a", seed=0, spread=0.6, **changes) -> Expert:
    fields = {"config": {}, "metrics": {}} | changes
    scales = random_scales(model.shapes, seed, spread)
    fingerprint = model.fingerprint(model.targets)
    return Expert(
        name, scales, model.name, fingerprint, model.targets, None, name, seed, **fields
    )


def say_alone(model, one: Order, experts, adapted=None, row=0) -> str:
    """What the model says to an order with nobody beside it."""
    if adapted is None:
        adapted = _find_scales(one.wear, experts)
    if one.messages:
        tokens = model.encode(choose_messages(adapted, one.messages))
    else:
        tokens = list(one.tokens) or list(model.tokenizer.encode(one.text))
    config = replace(one.configs[row], max_tokens=one.max_tokens)
    with model.using(adapted.scales, acts_on=adapted.acts_on):
        return sample(model, [tokens], config)[0][0].text


def _find_scales(wear, experts):
    if wear == "base":
        return Fixed.base().adapted
    coefficients = {}
    for term in wear.split("+"):
        share, _, name = term.strip().rpartition("*")
        coefficients[name.strip()] = float(share or 1)
    chosen = {name: experts[name] for name in coefficients}
    return Fixed.mixture(chosen, coefficients).adapted


def settle(engine):
    """Until nothing is left to do."""
    for _ in range(500):
        counts = engine.counters()
        if not any(counts[n] for n in ("rows_decoding", "prompts_reading", "queue_length")):
            return counts
        time.sleep(0.01)
    raise AssertionError(counts)
