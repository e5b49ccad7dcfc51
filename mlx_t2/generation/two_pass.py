"""Two passes: find the scales for a conversation, then answer it wearing them.

Knows strategies and streams; knows no experts as files and no tasks.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from mlx_t2.adaptation import Adapted, Conversation, Strategy
from mlx_t2.models import SVFModel
from mlx_t2.sampling import SamplingConfig, Token, stream

_GREEDY = SamplingConfig(temperature=0)


@dataclass(frozen=True)
class Route:
    """How an answer came to its weights."""

    strategy: str
    weights: dict[str, float]
    """{expert: its coefficient}."""
    label: str | None
    """The one label chosen, where one was."""
    scores: dict[str, float]
    """{label: probability} that the decision was made on."""
    first_pass_ms: float
    """Until the second pass could be put together; 0 where there is no first pass. Scales that
    no decision hangs on (a mixture's) are still being computed then."""
    second_pass_ms: float
    """From there to the end of the answer."""
    first_token_ms: float
    """From the request to the first token: both passes' prefills."""

    def to_json(self) -> dict[str, Any]:
        """The keys that scripts rely on."""
        return {
            "strategy": self.strategy,
            "weights": self.weights,
            "label": self.label,
            "first_pass_ms": round(self.first_pass_ms, 3),
        }


@dataclass(frozen=True)
class Answer:
    """What the second pass wrote, and its route."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    """`stop`, `length`, or `interrupted` where the reader went away."""
    route: Route

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

    The prompt is read again under the adapted weights: keys and values belong to the weights
    that made them, and no cache ever crosses z.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2.
    Differs (1): one request at a time and each with its own scales; the reference classifies a
    whole test set first and answers it expert by expert.
    """

    def __init__(
        self,
        model: SVFModel,
        strategy: Strategy,
        prompts: Mapping[str, Conversation] | None = None,
    ):
        """prompts: {expert: the messages that stood before what it was trained on}.

        Without a system message, the first pass reads the last question alone, and an expert
        answers it alone, behind its own prompt: that is what it has learnt. The base model
        answers the whole conversation.
        """
        self.model = model
        self.strategy = strategy
        self.prompts = prompts or {}
        self.answer: Answer | None = None
        """Of the last request; None while the first pass runs."""

    def stream(
        self, messages: Conversation, config: SamplingConfig
    ) -> Generator[Token, None, None]:
        """The answer, token by token; then `answer` has it whole.

        A reader may stop early, by leaving the loop or by `close`: the model is itself again,
        and `answer` has the part that was read, `interrupted`.
        """
        self.answer = None
        clock = _Clock()
        asked = messages if _has_system(messages) else messages[-1:]
        adapted = self.strategy.adapt(self.model, [asked])[0]
        mx.async_eval(
            adapted.scales
        )  # the device starts on them while the second pass is put together
        if not self.strategy.is_fixed:
            clock.end_first_pass()
        prompt = self.model.encode(self._put(messages, adapted))
        tokens: list[Token] = []
        try:
            with self.model.using(adapted.scales):
                for token in stream(self.model, prompt, config):
                    tokens.append(token)
                    clock.tick()
                    yield token
        finally:
            self.answer = self._answer(prompt, tokens, adapted, clock)

    def generate(self, messages: Conversation, config: SamplingConfig) -> Answer:
        """The whole answer at once."""
        for _ in self.stream(messages, config):
            pass
        assert self.answer is not None
        return self.answer

    def ask(self, question: str, config: SamplingConfig = _GREEDY) -> Answer:
        """The answer to one bare question; greedy unless `config` says otherwise."""
        return self.generate([{"role": "user", "content": question}], config)

    def _put(self, messages: Conversation, adapted: Adapted) -> Conversation:
        """The last question behind the prompt of the expert with half of the weight.

        The conversation as it is where no expert has that much, where its prompt is not
        known, or where a system message says what is wanted.
        """
        if not self.prompts or _has_system(messages):
            return messages
        expert = max(adapted.weights, key=lambda name: adapted.weights[name], default="")
        if adapted.weights.get(expert, 0) < 0.5 or expert not in self.prompts:
            return messages
        return [*self.prompts[expert], messages[-1]]

    def _answer(
        self, prompt: Sequence[int], tokens: Sequence[Token], adapted: Adapted, clock: "_Clock"
    ) -> Answer:
        second_pass_ms = clock.since_first_pass()  # before anything lazy is read
        route = Route(
            self.strategy.name,
            dict(adapted.weights),
            adapted.label,
            dict(adapted.scores),
            clock.first_pass_ms,
            second_pass_ms,
            clock.first_token_ms,
        )
        return Answer(
            "".join(token.text for token in tokens),
            len(prompt),
            len(tokens),
            (tokens[-1].finish_reason if tokens else None) or "interrupted",
            route,
        )


def _has_system(messages: Conversation) -> bool:
    return any(message["role"] == "system" for message in messages)


class _Clock:
    """Milliseconds since the request came."""

    def __init__(self):
        self._start = time.perf_counter()
        self.first_pass_ms = 0.0
        self.first_token_ms = 0.0

    def _now(self) -> float:
        return (time.perf_counter() - self._start) * 1000

    def end_first_pass(self) -> None:
        self.first_pass_ms = self._now()

    def tick(self) -> None:
        """A token has come; only the first one counts."""
        self.first_token_ms = self.first_token_ms or self._now()

    def since_first_pass(self) -> float:
        return self._now() - self.first_pass_ms
