"""Both passes, up to the first token, beside a model that adapts nothing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import mlx.core as mx

from mlx_t2.adaptation import Chosen, Fixed, Strategy
from mlx_t2.experts import BUNDLED, Library
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.reading import last_hidden
from mlx_t2.routing import HeadRouter
from mlx_t2.tasks import Message, Problem, get_task

from .measurement import Measurement, interleave

_LENGTHS = (80, 512)
"""The least tokens of a prompt, measured one after the other."""
_PLAIN = "one plain prefill, to the first token"


def measure(runs: int = 5) -> Iterator[Measurement]:
    """Every row, one after another. The bundled experts act on the answer; that they are worn
    as if they acted on all, too, changes what they say and not how long it takes.
    """
    model = decompose(load())
    library = Library(BUNDLED / model.name, bundled=None)
    router = HeadRouter.load(library.router_paths()[0], model)
    answering = {e.name: e for e, _ in library.experts() if e.name in router.labels}
    everything = {name: replace(e, acts_on="all") for name, e in answering.items()}
    fixed = Fixed.mixture(answering, {"kind": 1.0})
    chosen = Chosen("classifier", router, answering)
    for least in _LENGTHS:
        messages = long_conversation(model, get_task("kind").problems("train", 99), least)
        tokens = model.encode(messages)
        where = f"to the first token, prompt of {len(tokens)} tokens"
        plain = first_token(model, Fixed.base(), messages)
        for name, strategy in (("an expert", fixed), ("a chosen expert", chosen)):
            seconds = interleave(first_token(model, strategy, messages), plain, runs)
            name = f"{name} that acts on the answer, {where}"
            yield Measurement(name, *seconds, _PLAIN, target="≥ 0.91")

        def prefill_twice(tokens: list[int] = tokens) -> None:
            mx.eval(last_hidden(model, [tokens]))
            mx.eval(last_hidden(model, [tokens]))

        ours = first_token(model, Chosen("classifier", router, everything), messages)
        against = "two plain prefills of the prompt"
        name = f"a chosen expert that acts on all, {where}"
        yield Measurement(
            name, *interleave(ours, prefill_twice, runs), against, target="≥ 0.87"
        )


def first_token(
    model: SVFModel, strategy: Strategy, messages: Sequence[Message]
) -> Callable[[], object]:
    """What waits for the first token of an answer."""
    generator = AdaptiveGenerator(model, strategy)
    return lambda: next(generator.stream(messages))


def long_conversation(
    model: SVFModel, problems: Sequence[Problem], least: int
) -> list[Message]:
    """The prompt of the first problem, with others and their answers as turns in front of its
    question, until there are that many tokens. It has a system message, so that every strategy
    reads it as it is.
    """
    *before, question = problems[0].messages
    for problem in problems[1:]:
        if len(model.encode([*before, question])) >= least:
            break
        answer: Message = {"role": "assistant", "content": problem.answer}
        before += [problem.messages[-1], answer]
    return [*before, question]
