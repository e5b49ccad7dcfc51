"""What the two halves of the server say to each other, in plain values.

Knows neither arrays nor HTTP.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from mlx_t2.errors import RequestError
from mlx_t2.routing import Conversation
from mlx_t2.sampling import SamplingConfig

FailureKind = Literal[
    "context_length", "unknown_expert", "template", "invalid", "busy", "draining", "memory",
    "slow_reader", "internal",
]  # fmt: skip
"""Why there is no answer, or no more of it."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One request: a prompt, and as many completions of it as there are `configs`.

    The prompt is one of `messages`, `text` and `tokens`.
    """

    messages: Conversation = ()
    """A conversation, to be put into the model's chat template."""
    text: str | None = None
    """Text as it is, without a template."""
    tokens: tuple[int, ...] = ()
    """Token ids as they are."""
    wear: str = "base"
    """`base`, `auto`, an expert's name, or a sum of experts: `0.6*a + 0.4*b`."""
    configs: tuple[SamplingConfig, ...]
    """One per completion; they differ in their seeds alone."""
    max_tokens: int | None = None
    """Longest completion [tokens], in place of the configs'; until the end token or the end of
    the context where None. With 0 nothing is drawn: the prompt's scores are all there is.
    """
    stop: tuple[str, ...] = ()
    """Texts that end a completion, and are no part of it."""
    top_logprobs: int | None = None
    """How many of the most probable tokens come with each; no scores where None."""
    is_echoed: bool = False
    """The prompt's own tokens and scores come first."""

    @property
    def characters(self) -> int:
        """The length of what is to be cut into tokens."""
        return len(self.text or "") + sum(len(one["content"]) for one in self.messages)


@dataclass(frozen=True)
class TokenScore:
    """A token and how probable it was, before temperature and limits."""

    id: int
    text: str
    """U+FFFD where it is part of a character."""
    raw: bytes
    logprob: float | None
    """None for the first token of a prompt."""
    top: tuple[tuple[str, bytes, float], ...] = ()
    """(text, bytes, log-probability) of the most probable tokens, most probable first."""


@dataclass(frozen=True)
class ServedRoute:
    """How the scales of an answer were found."""

    strategy: str
    coefficients: Mapping[str, float]
    """{expert: its coefficient}; empty for the base model."""
    label: str | None = None
    confidence: float | None = None
    first_pass_ms: float = 0.0


@dataclass(frozen=True)
class Tags:
    """How a model writes down that it thinks."""

    start: str
    end: str
    is_open: bool = False
    """The prompt ends behind the first of them: the answer begins with thoughts."""


@dataclass(frozen=True)
class Started:
    """The prompt has been read, and the scales are known. Comes first, once."""

    route: ServedRoute
    prompt_tokens: int
    cached_tokens: int
    """Those of the prompt that a cache held."""
    echoed: tuple[TokenScore, ...] = ()
    tags: Tags | None = None
    """How the answer to a conversation tells thoughts from what it says, where the model
    thinks.
    """


@dataclass(frozen=True)
class Piece:
    """More of one completion."""

    row: int
    """Which of the order's completions."""
    text: str
    """May be empty: text that may yet become a stop, or part of a character, is held back."""
    scores: tuple[TokenScore, ...] = ()
    """Its tokens; empty where no scores are wanted."""
    completion_tokens: int = 0
    """Drawn for this completion so far."""
    finish_reason: Literal["stop", "length"] | None = None
    """None while it goes on. The last piece of each completion has one."""


@dataclass(frozen=True)
class Failed:
    """The order ends here, all its completions with it."""

    kind: FailureKind
    message: str
    """One line for whoever sent it."""


Event = Started | Piece | Failed


class Refused(RequestError):
    """An order was not taken."""

    def __init__(self, kind: FailureKind, message: str, retry_after_s: float | None = None):
        super().__init__(message)
        self.kind: FailureKind = kind
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class ServedExpert:
    """An expert that can be asked for."""

    name: str
    digest: str
    """A hash of its z: what caches go by."""
    created: int
    """Unix time of its file [s]."""
    acts_on: str
    task: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Backend(Protocol):
    """The half that owns the model. Every method may be called from any thread, and none but
    `change_experts` and `stop` waits.
    """

    @property
    def model_id(self) -> str: ...

    @property
    def created(self) -> int:
        """Unix time of its start [s]."""
        ...

    @property
    def is_ready(self) -> bool:
        """The model is loaded, the thread is alive and its last step is not long ago."""
        ...

    @property
    def is_draining(self) -> bool: ...

    def experts(self) -> Sequence[ServedExpert]: ...

    @property
    def has_auto(self) -> bool:
        """Whether an order can wear `auto`."""
        ...

    @property
    def may_think(self) -> bool:
        """Whether the model's answers may begin with thoughts."""
        ...

    def submit(self, order: Order, listen: Callable[[Event], None]) -> int:
        """Take an order; returns its number. `listen` is called from the thread that owns the
        model, must not wait, and is not called after `Failed` or every row's last piece.

        Raises: Refused where the queue is full or the server is about to end.
        """
        ...

    def abort(self, number: int) -> None:
        """Give an order up: its rows leave between two steps. One that has ended is left."""
        ...

    def change_experts(self, name: str, place: str | None) -> ServedExpert | None:
        """Add or replace an expert from a place (library name or file), or remove it (None).
        Orders in flight keep the version that they began with.

        Raises: T2Error for an expert that cannot be had, or does not fit the model.
        """
        ...

    def counters(self) -> Mapping[str, float]:
        """Name → value, for monitoring. `queue_limit` is how many orders can wait, where it is
        among them.
        """
        ...

    def drain(self) -> None:
        """Take no more orders; those taken are answered."""
        ...

    def stop(self, within_s: float) -> None:
        """End the thread: at once where nothing is left to answer, after this time anyway."""
        ...
