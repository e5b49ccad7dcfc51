"""A backend without a model: says what it is told to say, as fast as it is told."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mlx_t2.errors import ExpertFileError
from mlx_t2.serving import (
    Event,
    Failed,
    FailureKind,
    Order,
    Piece,
    Refused,
    ServedExpert,
    ServedRoute,
    Started,
    Tags,
    TokenScore,
)


def score(text: str, logprob: float | None = -0.5, top: int = 0) -> TokenScore:
    """A token of a text, with as many others beside it."""
    options = tuple((f"{text}{i}", f"{text}{i}".encode(), -1.0 - i) for i in range(top))
    return TokenScore(len(text), text, text.encode(), logprob, options)


@dataclass
class FakeBackend:
    """Answers every order with the same words."""

    words: Sequence[str] = ("Good", " day", "")
    pace_s: float = 0.0
    """Between two words; answered inside `submit` where 0."""
    prefill_s: float = 0.0
    """Before the prompt has been read; with a pace alone."""
    refuses: FailureKind | None = None
    fails: FailureKind | None = None
    """In place of a beginning."""
    breaks: FailureKind | None = None
    """In place of the last word."""
    breaks_in_submit: bool = False
    tags: Tags | None = None
    model_id: str = "tiny/model"
    created: int = 1700000000
    is_ready: bool = True
    has_auto: bool = True
    may_think: bool = False
    is_draining: bool = False
    orders: list[Order] = field(default_factory=list)
    aborted: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    served: dict[str, ServedExpert] = field(default_factory=dict)
    threads: list[threading.Thread] = field(default_factory=list)
    deadline: float | None = None

    def __post_init__(self):
        for name in ("math", "code"):
            self.served[name] = ServedExpert(name, f"hash-{name}", 1700000001, "answer", name)

    def experts(self) -> Sequence[ServedExpert]:
        return list(self.served.values())

    def submit(self, order: Order, listen: Callable[[Event], None]) -> int:
        if self.breaks_in_submit:
            raise ValueError("a fault of ours that quotes the prompt: secret")
        if self.is_draining:
            raise Refused("draining", "the server is about to end")
        if self.refuses is not None:
            raise Refused(self.refuses, "the queue is full", 2.5)
        self.orders.append(order)
        number = len(self.orders)
        if self.pace_s:
            self.threads.append(
                threading.Thread(target=self._play, args=(number, order, listen), daemon=True)
            )
            self.threads[-1].start()
        else:
            self._play(number, order, listen)
        return number

    def _play(self, number: int, order: Order, listen: Callable[[Event], None]) -> None:
        time.sleep(self.prefill_s if self.pace_s else 0)
        if self.fails is not None:
            return listen(Failed(self.fails, "no answer"))
        listen(self._begin(order))
        rows = range(len(order.configs))
        words = self.words if order.max_tokens != 0 else ("",)
        for at, word in enumerate(words):
            time.sleep(self.pace_s)
            if number in self.aborted:
                return
            late = self.deadline is not None and time.monotonic() > self.deadline
            is_last = at == len(words) - 1
            if late or (is_last and self.breaks is not None):
                return listen(Failed("draining" if late else self.breaks or "internal", "cut"))
            for row in rows:
                listen(self._say(order, row, at, word, is_last))
        self.ended.append(number)

    def _begin(self, order: Order) -> Started:
        prompt = (order.text or "").split(" ") if order.text else ["t"] * len(order.tokens)
        echoed = [
            score(word if not at else f" {word}", None if not at else -1.5)
            for at, word in enumerate(prompt)
        ]
        route = ServedRoute(
            "auto" if order.wear == "auto" else "fixed",
            {} if order.wear == "base" else {order.wear: 1.0},
            "math" if order.wear == "auto" else None,
            0.91234567 if order.wear == "auto" else None,
            1.5,
        )
        return Started(route, 7, 3, tuple(echoed) if order.is_echoed else (), self.tags)

    def _say(self, order: Order, row: int, at: int, word: str, is_last: bool) -> Piece:
        top = order.top_logprobs
        scores = () if top is None or not word else (score(word, top=top),)
        reason = ("length" if order.max_tokens is not None else "stop") if is_last else None
        drawn = 0 if order.max_tokens == 0 else at + 1
        return Piece(row, word, scores, drawn, reason)

    def abort(self, number: int) -> None:
        self.aborted.append(number)

    def change_experts(self, name: str, place: str | None) -> ServedExpert | None:
        if place is None:
            return self.served.pop(name) and None
        if place == "damaged":
            raise ExpertFileError(f"{name}: truncated, expected an expert's file")
        self.served[name] = ServedExpert(name, f"hash-{place}", 1700000002, "answer")
        return self.served[name]

    def counters(self) -> Mapping[str, float]:
        return {"rows": 2.0, "steps_total": 40.0}

    def drain(self) -> None:
        self.is_draining = True

    def stop(self, within_s: float) -> None:
        self.deadline = time.monotonic() + within_s
        for thread in self.threads:
            thread.join(within_s + 5)
