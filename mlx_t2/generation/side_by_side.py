"""One conversation answered under several strategies at once, as rows of one batch.

Knows strategies and streams; knows no experts as files and no tasks.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlx_t2.adaptation import Adapted, Strategy
from mlx_t2.errors import ModelError
from mlx_t2.models import SVFModel
from mlx_t2.reading import BasePrefixes
from mlx_t2.routing import Conversation
from mlx_t2.sampling import ContinuousBatch, SamplingConfig, Token

from .tally import Tally
from .two_pass import Answer, Clock, Request, choose_messages, describe_route


@dataclass(eq=False)
class _Row:
    """One strategy's answer as far as it has got."""

    strategy: Strategy
    adapted: Adapted
    prompt: list[int]
    text: Any
    """What turns its tokens into text."""
    clock: Clock
    read: list[Token] = field(default_factory=list)

    def take(self, token: int, finish_reason: str | None) -> Token:
        """The next token, with the text that it completes."""
        if finish_reason != "stop":
            self.text.add_token(token)
        if finish_reason:
            self.text.finalize()
        self.read.append(Token(token, self.text.last_segment, finish_reason))
        self.clock.tick()
        return self.read[-1]

    @property
    def answer(self) -> Answer:
        """As `Request.answer`."""
        return Answer(
            "".join(token.text for token in self.read),
            len(self.prompt),
            len(self.read),
            (self.read[-1].finish_reason if self.read else None) or "interrupted",
            describe_route(self.strategy, self.adapted, self.clock),
            len(self.prompt),
        )


class SideBySide(Iterator[tuple[int, Token]]):
    """Several answers to one conversation: iterate for (which of them, its next token), then
    see `answers`.

    They cost about what one does: a decoding step reads the weights once for all rows, each of
    which wears its own scales. What each says is what it would say alone. An architecture that
    mlx-lm cannot batch gives one token of each in turn.
    """

    def __init__(
        self,
        model: SVFModel,
        strategies: Sequence[Strategy],
        messages: Conversation,
        config: SamplingConfig,
    ):
        self._model, self._strategies = model, strategies
        self._messages, self._config = messages, config
        self._rows: list[_Row] = []
        self._requests: list[Request] = []
        self._tokens = self._run()

    def __next__(self) -> tuple[int, Token]:
        return next(self._tokens)

    def close(self) -> None:
        """Stop here; `answers` has the parts that were read."""
        self._tokens.close()

    @property
    def answers(self) -> list[Answer | None]:
        """What has been read so far of each; None before its first pass is over."""
        if self._requests:
            return [request.answer for request in self._requests]
        missing = len(self._strategies) - len(self._rows)
        return [*(row.answer for row in self._rows), *[None] * missing]

    def _run(self) -> Generator[tuple[int, Token], None, None]:
        try:
            batch = ContinuousBatch(self._model, max_rows=len(self._strategies))
        except ModelError:
            yield from self._take_turns()
            return
        try:
            for strategy in self._strategies:
                row = self._begin(strategy)
                self._rows.append(row)
                adapted = row.adapted
                batch.insert(row.prompt, adapted.scales, self._config, adapted.acts_on)
            while got := batch.step():
                for one in got:
                    yield one.row, self._rows[one.row].take(one.token, one.finish_reason)
        finally:
            batch.close()

    def _begin(self, strategy: Strategy) -> _Row:
        clock = Clock()
        clock.start()
        (adapted,) = strategy.adapt([self._messages])
        if not strategy.is_fixed:
            clock.end_first_pass()
        prompt = self._model.encode(choose_messages(adapted, self._messages))
        return _Row(strategy, adapted, prompt, self._model.tokenizer.detokenizer, clock)

    def _take_turns(self) -> Generator[tuple[int, Token], None, None]:
        model, prefixes = self._model, BasePrefixes(self._model)
        self._requests = [
            Request(model, strategy, self._messages, self._config, prefixes, Tally(model))
            for strategy in self._strategies
        ]
        going = dict(enumerate(self._requests))
        try:
            while going:
                for index, request in list(going.items()):
                    token = next(request, None)
                    if token is None:
                        del going[index]
                    else:
                        yield index, token
        finally:
            for request in self._requests:
                request.close()
