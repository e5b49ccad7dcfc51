"""Two passes: find the scales for a conversation, then answer it wearing them.

Knows strategies and streams; knows no experts as files and no tasks.
"""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from mlx_t2.adaptation import Adapted, Strategy, naming_experts, strategy_of
from mlx_t2.experts import Expert
from mlx_t2.models import Outfit, OwnedCache, SVFModel, check_tokens
from mlx_t2.reading import BasePrefixes, BasePrompt, Kept, KeptCaches, read_alone
from mlx_t2.routing import Conversation
from mlx_t2.sampling import SamplingConfig, Token, stream
from mlx_t2.svf import BASE

from .tally import Tally

_GREEDY = SamplingConfig(temperature=0)


@dataclass(frozen=True)
class Route:
    """How the scales of an answer were found."""

    strategy: str
    coefficients: dict[str, float]
    """{expert: its coefficient}."""
    label: str | None
    """The one label chosen, where one was."""
    scores: dict[str, float]
    """{label: probability} that the decision was made on."""
    first_pass_ms: float
    """Until the second pass could begin; 0 where there is no first pass. A mixture's scales are
    still being computed then.
    """
    second_pass_ms: float
    """From there to the last token."""
    first_token_ms: float
    """From the request to the first token: both passes' prefills."""
    form: str = "live"
    """How the scales were worn at the end: `live`, `beside` or `folded`, with bits if few."""

    @property
    def confidence(self) -> float | None:
        """How probable the label is; None where none was chosen by probabilities."""
        return None if self.label is None else self.scores.get(self.label)

    def to_json(self) -> dict[str, Any]:
        """The keys that scripts rely on."""
        confidence = self.confidence
        return {
            "strategy": self.strategy,
            "weights": self.coefficients,
            "label": self.label,
            "confidence": None if confidence is None else round(confidence, 4),
            "first_pass_ms": round(self.first_pass_ms, 3),
            "form": self.form,
        }


@dataclass(frozen=True)
class Answer:
    """What the second pass wrote, and its route."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    """`stop`, `length`, or `interrupted` where not all tokens were read."""
    route: Route
    read_tokens: int = 0
    """What was read of the prompt for this answer; the caches held the rest."""
    first_pass_tokens: int = 0
    """What was read of the conversation to know the scales; 0 where nothing was."""

    def to_json(self) -> dict[str, Any]:
        """The keys that scripts rely on."""
        return {
            "text": self.text,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "route": self.route.to_json(),
            "finish_reason": self.finish_reason,
        }


class AdaptiveGenerator:
    """A model that adapts its weights to each request.

    For experts that act on all, the prompt is read again under the adapted weights: keys and
    values belong to the weights that made them, and no cache ever crosses z. For experts that
    act on the answer alone they belong to the base, so the first pass is the prefill: only the
    prompt's last token is read again.

        generator = AdaptiveGenerator(model, Library().find("largest"))
        generator.ask("36, 73, 80").text  # 80

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2.
    Differs (13): each request has its own scales, alone here, or in a batch of unlike ones; the
    reference classifies a whole test set first and answers it expert by expert.
    """

    def __init__(
        self,
        model: SVFModel,
        chosen: Expert | Strategy | None = None,
        tally: Tally | None = None,
    ):
        """chosen: an expert, for which the model is decomposed where it is not yet; a strategy;
        or None, the base model.

        tally: of a conversation that other generators have led so far.
        """
        self.model = model
        self.strategy = strategy_of(model, chosen)
        self._prefixes = BasePrefixes(model)
        self._tally = tally or Tally(model)

    def stream(
        self,
        messages: Conversation,
        config: SamplingConfig = _GREEDY,
        kept: KeptCaches | None = None,
    ) -> "Request":
        """The answer, to be read token by token. Greedy unless `config` says otherwise.

        kept: what earlier turns of the conversation have read, and what this one will.
        """
        of = (self._prefixes, self._tally, kept)
        return Request(self.model, self.strategy, messages, config, *of)

    def generate(self, messages: Conversation, config: SamplingConfig = _GREEDY) -> Answer:
        """The whole answer at once."""
        request = self.stream(messages, config)
        for _ in request:
            pass
        assert request.answer is not None
        return request.answer

    def ask(self, question: str, config: SamplingConfig = _GREEDY) -> Answer:
        """The answer to one bare question."""
        return self.generate([{"role": "user", "content": question}], config)


class Request(Iterator[Token]):
    """One conversation that is being answered: iterate over it for tokens, then see `answer`.

    Nothing is computed before the first `next`. The model wears the request's scales
    only while a token of it is computed, so it is itself in between, and several requests may
    be read in turn.

    The first pass reads the whole conversation. Without a system message, an expert answers
    the last question alone, after its own prompt: that is what it has learnt. The base model
    answers the whole conversation, and so do experts whose prompts differ. So the second prompt
    depends on the route only where the strategy chooses; a mixture's is known beforehand, and
    nothing waits for its coefficients before the second pass begins.

    Experts that act on the answer alone see what the base has read, and that is the whole
    conversation. Only one that has a prompt of its own makes the base read again, and of that
    the question alone where an earlier request has read the prompt.

    From turn to turn, with `kept`, the base's caches and those of other scales live on, and a
    turn costs its new tokens. What scales have written stays theirs: where they act on all, it
    goes on from there while they are worn; where they act on the answer, the base reads it once
    more with the next question.

        turn 1   base  p p p p      turn 2   base  p p p p │ a a q q       only behind the bar
                 z             a a                                a a …
    """

    def __init__(
        self,
        model: SVFModel,
        strategy: Strategy,
        messages: Conversation,
        config: SamplingConfig,
        prefixes: BasePrefixes,
        tally: Tally,
        kept: KeptCaches | None = None,
    ):
        self._model, self._strategy = model, strategy
        self._messages, self._config = messages, config
        self._prefixes, self._tally, self._kept = prefixes, tally, kept
        self._outfit = Outfit()
        self._clock = Clock()
        self._adapted: Adapted | None = None
        self._prompt: list[int] = []
        self._known = 0
        """What the caches held of the prompt before."""
        self._first_pass_tokens: int | None = None
        """None where the strategy itself encodes the conversation."""
        self._read: list[Token] = []
        self._tokens = self._run()

    def __iter__(self) -> "Request":
        return self

    def __next__(self) -> Token:
        return next(self._tokens)

    def close(self) -> None:
        """Stop here; `answer` has the part that was read."""
        self._tokens.close()

    @property
    def answer(self) -> Answer | None:
        """What has been read so far, `interrupted` where that is not all; None before the first
        pass is over.
        """
        adapted = self._adapted
        if adapted is None:
            return None
        return Answer(
            "".join(token.text for token in self._read),
            len(self._prompt),
            len(self._read),
            (self._read[-1].finish_reason if self._read else None) or "interrupted",
            describe_route(self._strategy, adapted, self._clock, str(self._outfit)),
            len(self._prompt) - self._known,
            self._count_first_pass(),
        )

    def _count_first_pass(self) -> int:
        if self._first_pass_tokens is not None:
            return self._first_pass_tokens
        return len(self._model.encode(self._messages))

    def _run(self) -> Generator[Token, None, None]:
        self._clock.start()
        adapted, read = self._adapt()
        # The device starts on z' while the second pass is put together.
        mx.async_eval(adapted.scales)
        if not self._strategy.is_fixed:
            self._clock.end_first_pass()
        messages = choose_messages(adapted, self._messages)
        answered = read if messages is self._messages else None
        self._prompt = answered.tokens if answered else self._model.encode(messages)
        self._adapted = adapted
        is_behind = messages is not self._messages and adapted.acts_on == "answer"
        self._outfit = self._tally.begin(adapted.scales)
        with self._model.wearing(self._outfit, adapted.acts_on):
            caches = self._open_caches(adapted, read, answered, is_behind)
            held = None if is_behind else self._hold(caches)
            tokens = stream(self._model, self._prompt, self._config, caches)
            with naming_experts(adapted):
                token = next(tokens, None)  # the cache made here belongs to these scales
        try:
            while token is not None:
                self._read.append(token)
                self._clock.tick()
                yield token
                left = self._config.max_tokens - len(self._read)
                self._outfit = self._tally.step(self._outfit, left)
                with self._model.wearing(self._outfit), naming_experts(adapted):
                    token = next(tokens, None)
        finally:
            if held is not None and (adapted.acts_on == "all" or not adapted.scales):
                held.grow([*self._prompt[-1:], *(token.id for token in self._read)])

    def _adapt(self) -> tuple[Adapted, BasePrompt | None]:
        """The decision, and the conversation under the base where it was made on that."""
        strategy = self._strategy
        if strategy.is_fixed:
            self._first_pass_tokens = 0
        if strategy.is_fixed or (strategy.acts_on == "all" and self._kept is None):
            return strategy.adapt([self._messages])[0], None
        tokens = self._model.encode(self._messages)
        begun = self._kept.take(tokens, BASE) if self._kept else None
        self._known = begun.count if begun else 0
        self._first_pass_tokens = len(tokens) - self._known
        read = BasePrompt(self._model, tokens, begun)
        return strategy.adapt([self._messages], [read])[0], read

    def _open_caches(
        self,
        adapted: Adapted,
        read: BasePrompt | None,
        answered: BasePrompt | None,
        is_behind: bool,
    ) -> OwnedCache | None:
        """The prompt but for its last token; None where the stream is to read it.

        read: what the first pass has read; `answered` where that is the prompt, too.
        is_behind: the question stands behind the experts' own prompt, and the base reads both.
        """
        if answered and (adapted.acts_on == "answer" or not adapted.scales):
            return answered.caches
        if self._kept is None and not is_behind:
            return None
        if self._kept and read is not None and (known := read.read) is not None:
            self._kept.hold(read.tokens[: known.count], known.caches, BASE)
        check_tokens(self._model, [self._prompt])
        if is_behind:
            begun = self._prefixes.begin(adapted.prompt, self._prompt)
        else:
            assert self._kept is not None
            begun = self._kept.take(self._prompt, self._model.prompt_scales)
        self._known = begun.count if begun else 0
        with naming_experts(adapted):
            return read_alone(self._model, self._prompt, begun=begun)

    def _hold(self, caches: OwnedCache | None) -> Kept | None:
        if self._kept is None or caches is None:
            return None
        return self._kept.hold(self._prompt[:-1], caches, self._model.prompt_scales)


def choose_messages(adapted: Adapted, messages: Conversation) -> Conversation:
    """What is read for the answer: the last question behind the experts' own prompt, where they
    have one and the conversation has no system message; else all of it.
    """
    if not adapted.prompt or any(message["role"] == "system" for message in messages):
        return messages
    return [*adapted.prompt, messages[-1]]


def describe_route(
    strategy: Strategy, adapted: Adapted, clock: "Clock", form: str = "live"
) -> Route:
    """The route of an answer, as far as it has got."""
    return Route(
        strategy.name,
        dict(adapted.coefficients),
        adapted.label,
        dict(adapted.scores),
        clock.first_pass_ms,
        clock.second_pass_ms,
        clock.first_token_ms,
        form,
    )


class Clock:
    """Milliseconds since a request was begun."""

    def __init__(self):
        self._started = 0.0
        self.first_pass_ms = 0.0
        self.first_token_ms = 0.0
        self._last_token_ms = 0.0

    @property
    def second_pass_ms(self) -> float:
        return max(0.0, self._last_token_ms - self.first_pass_ms)

    def start(self) -> None:
        self._started = time.perf_counter()

    def end_first_pass(self) -> None:
        self.first_pass_ms = self._now()

    def tick(self) -> None:
        """There is another token."""
        self._last_token_ms = self._now()
        self.first_token_ms = self.first_token_ms or self._last_token_ms

    def _now(self) -> float:
        return (time.perf_counter() - self._started) * 1000
