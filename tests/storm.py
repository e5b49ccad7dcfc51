"""Many orders at once, of every kind, some given up half-way: what each is told beside what the
model says alone.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from orders import Heard, put, say_alone

from mlx_t2.sampling import SamplingConfig
from mlx_t2.serving import Engine, Order, Refused

_SYSTEMS = ("", "answer in few words", "you are a list of ages")
_WORDS = [
    *("the", "of", "list", "age", "one", "two", "three", "is", "what", "who", "when", "if"),
    *("a", "b", "c", "1", "2", "3"),
]


@dataclass
class Storm:
    """What happened."""

    wrong: list[tuple[Order, str, str]] = field(default_factory=list)
    """(order, what it was told, what it should have been)."""
    ended: int = 0
    aborted: int = 0
    routes: set[str] = field(default_factory=set)


def make_orders(rng: random.Random, count: int, wears, longest=14) -> list[Order]:
    """Conversations that begin alike in part, drawn and greedy."""
    made = []
    for number in range(count):
        messages = []
        if system := rng.choice(_SYSTEMS):
            messages.append({"role": "system", "content": system})
        for _ in range(rng.randrange(3)):
            messages.append({"role": "user", "content": rng.choice(_WORDS)})
            messages.append({"role": "assistant", "content": rng.choice(_WORDS)})
        words = " ".join(rng.choices(_WORDS, k=rng.randrange(1, 9)))
        messages.append({"role": "user", "content": words})
        configs = tuple(
            SamplingConfig(temperature=rng.choice([0.0, 1.0]), seed=rng.randrange(99))
            for _ in range(rng.choice([1, 1, 1, 3]))
        )
        made.append(
            Order(
                messages=tuple(messages),
                wear=wears[number % len(wears)],
                configs=configs,
                max_tokens=rng.randrange(1, longest),
                top_logprobs=rng.choice([None, None, 2]),
            )
        )
    return made


def expect(model, orders, experts, decide: Callable) -> list[list[str]]:
    """The texts of each order, one order after another.

    decide: what `auto` wears for messages.
    """
    return [
        [
            say_alone(
                model,
                one,
                experts,
                decide(one.messages) if one.wear == "auto" else None,
                row,
            )
            for row in range(len(one.configs))
        ]
        for one in orders
    ]


def blow(engine: Engine, orders, expected, at_once: int, seed: int) -> Storm:
    """Send all of them, so many at once; a fifth is given up at some token."""
    storm, lock = Storm(), threading.Lock()
    waiting = list(enumerate(zip(orders, expected, strict=True)))

    def work():
        while True:
            with lock:
                if not waiting:
                    return
                index, (one, texts) = waiting.pop()
            rng = random.Random(seed * 10_007 + index)
            _follow(engine, one, texts, storm, lock, rng)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return storm


def _follow(engine, one: Order, texts, storm: Storm, lock, rng) -> None:
    heard = _send(engine, one)
    gives_up = rng.random() < 0.2
    if gives_up:
        limit = rng.randrange(4)
        heard.wait(lambda heard: heard.is_over or len(heard.pieces) >= limit, timeout=300)
        engine.abort(heard.number)
    else:
        heard.wait(timeout=300)
    got = ["".join(p.text for p in heard.pieces if p.row == i) for i in range(len(texts))]
    with lock:
        storm.ended += not gives_up
        storm.aborted += gives_up
        if one.wear == "auto" and heard.events:
            storm.routes.add(heard.started.route.label)
        pairs = zip(got, texts, strict=True)
        if heard.failure or not all(
            text.startswith(said) if gives_up else said == text for said, text in pairs
        ):
            storm.wrong.append((one, str(heard.failure or got), str(texts)))


def _send(engine, one: Order) -> Heard:
    while True:
        try:
            return put(engine, one)
        except Refused:
            threading.Event().wait(0.05)
