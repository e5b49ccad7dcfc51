"""The second turn of a long conversation, up to the first token, beside `mlx_lm.chat`, which
keeps one cache and feeds it each new message, and beside reading all of it again.

A first turn takes far longer than what is measured, so there are three: the other side's, the
base's, from which experts that act on the answer go on, and the one of the expert that acts on
all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from mlx_lm.generate import stream_generate
from mlx_lm.models.cache import make_prompt_cache, trim_prompt_cache

from mlx_t2.adaptation import Chosen, Fixed, Strategy
from mlx_t2.experts import BUNDLED, Library
from mlx_t2.generation import AdaptiveGenerator, Answer
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.reading import KeptCaches
from mlx_t2.routing import HeadRouter
from mlx_t2.sampling import SamplingConfig
from mlx_t2.tasks import Message, get_task

from .measurement import Measurement, interleave

_LEAST = 1024
"""Tokens of the first turn."""
_ANSWER = 32
"""Tokens of its answer."""


def measure(runs: int = 5) -> Iterator[Measurement]:
    """Seconds and tokens for each way to answer. The bundled experts are worn as either kind:
    what is measured does not depend on what they have learnt.
    """
    model = decompose(load())
    library = Library(BUNDLED / model.name, bundled=None)
    router = HeadRouter.load(library.router_paths()[0], model)
    on_all = {
        expert.name: replace(expert, acts_on="all", config={})
        for expert, _ in library.experts()
        if expert.name in router.labels
    }
    on_answer = {name: replace(e, acts_on="answer") for name, e in on_all.items()}
    strategies: dict[str, Strategy] = {
        "an expert that acts on all": Fixed.mixture(on_all, {"kind": 1.0}),
        "an expert that acts on the answer": Fixed.mixture(on_answer, {"kind": 1.0}),
        "auto, experts that act on the answer": Chosen("classifier", router, on_answer),
    }
    first = long_question(model, _LEAST)
    other, base = PlainSecondTurn(model, first), SecondTurn(model, Fixed.base(), first)
    turns = {"the base": base} | {
        name: SecondTurn(model, strategy, first, base.kept.copy())
        for name, strategy in strategies.items()
    }
    for name, ours in turns.items():
        yield from _put_beside(f"{name}, after {other.length} tokens", ours, other, runs)
    uncached = UncachedSecondTurn(model, base.before)
    yield from _put_beside(f"the base, after {other.length} tokens", base, uncached, 1)


def _put_beside(
    name: str, ours: "SecondTurn", other: "PlainSecondTurn | UncachedSecondTurn", runs: int
) -> Iterator[Measurement]:
    seconds = interleave(ours.run, other.run, runs, warm=runs > 1)
    target = "≥ 0.8" if isinstance(other, PlainSecondTurn) else ""
    yield Measurement(f"{name}: first token", *seconds, other.name, target=target)
    read = (float(ours.read_tokens), float(other.read_tokens))
    yield Measurement(f"{name}: read", *read, other.name, unit="tokens")


def long_question(model: SVFModel, least: int) -> Message:
    """A question of at least that many tokens."""
    problems = get_task("kind").problems("train", 2000)
    text = ""
    for problem in problems:
        if len(model.encode([{"role": "user", "content": text}])) >= least:
            break
        text += problem.messages[-1]["content"] + "\n"
    return {"role": "user", "content": text}


class SecondTurn:
    """Our second turn, again and again from where the first one ended. What is kept of that is
    copied for each run, within its time.

    kept: what has been read of the first turn, under the base; nothing, where it is None.
    """

    def __init__(
        self,
        model: SVFModel,
        strategy: Strategy,
        first: Message,
        kept: KeptCaches | None = None,
    ):
        self._generator = AdaptiveGenerator(model, strategy)
        self.kept = kept or KeptCaches(model)
        self._numbers = count(100)
        config = SamplingConfig(temperature=0, max_tokens=_ANSWER)
        request = self._generator.stream([first], config, self.kept)
        text = "".join(token.text for token in request)
        self.before: list[Message] = [first, {"role": "assistant", "content": text}]
        self.read_tokens = 0

    def run(self) -> None:
        """To the first token."""
        messages = [*self.before, _question(next(self._numbers))]
        config = SamplingConfig(temperature=0, max_tokens=1)
        request = self._generator.stream(messages, config, self.kept.copy())
        for _ in request:
            pass
        answer: Answer | None = request.answer
        assert answer is not None
        self.read_tokens = answer.read_tokens


class PlainSecondTurn:
    """The same as `mlx_lm.chat` has it: the new message alone is put behind the cache."""

    name = "mlx_lm.chat"

    def __init__(self, model: SVFModel, first: Message):
        self._model = model
        self._cache: list[Any] = make_prompt_cache(model.network)
        self._numbers = count(100)
        _feed(model, model.encode([first]), _ANSWER, self._cache)
        self.length = self._cache[0].offset
        self.read_tokens = 0

    def run(self) -> None:
        """To the first token; then it is forgotten."""
        tokens = self._model.encode([_question(next(self._numbers))])
        _feed(self._model, tokens, 1, self._cache)
        self.read_tokens = len(tokens)
        trim_prompt_cache(self._cache, self._cache[0].offset - self.length)


class UncachedSecondTurn:
    """All of the conversation in one prompt, read by mlx-lm with nothing kept.

    before: the first turn, with its answer.
    """

    name = "mlx_lm, all read again"

    def __init__(self, model: SVFModel, before: Sequence[Message]):
        self._model = model
        self._tokens = model.encode([*before, _question(100)])
        self.read_tokens = len(self._tokens)

    def run(self) -> None:
        """To the first token."""
        _feed(self._model, self._tokens, 1)


def _feed(
    model: SVFModel, tokens: list[int], max_tokens: int, cache: list[Any] | None = None
) -> None:
    feed: Callable[..., Iterator[Any]] = stream_generate
    for _ in feed(
        model.network, model.tokenizer, tokens, max_tokens=max_tokens, prompt_cache=cache
    ):
        pass


def _question(number: int) -> Message:
    return {"role": "user", "content": f"{number} is the number of this question. Is it even?"}
