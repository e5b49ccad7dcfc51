"""What has been said, and under what. Knows no model and no terminal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlx_t2.errors import FileError

from .settings import Settings


@dataclass(frozen=True)
class Turn:
    """A question and its answer."""

    question: str
    answer: str
    worn: str
    """The word that it was asked under: `auto`, `off`, an expert, a mixture."""
    system: str = ""
    """The system message at the time; empty for none."""
    model: str = ""
    route: Mapping[str, Any] = field(default_factory=dict)
    """As `Route.to_json`."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """{label: probability} of the first pass."""
    prompt_tokens: int = 0
    read_tokens: int = 0
    """What was read of the prompt for this answer."""
    completion_tokens: int = 0
    finish_reason: str = "stop"
    """`stop`, `length` or `interrupted`."""
    first_pass_tokens: int = 0
    """What was read to know the weights."""
    first_token_s: float = 0.0
    seconds: float = 0.0
    """From the question to the last token."""

    @property
    def tokens_per_second(self) -> float:
        """Tokens behind the first, per second; 0 where there are none."""
        seconds = self.seconds - self.first_token_s
        return (self.completion_tokens - 1) / seconds if seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """One line of a session's file."""
        return vars(self) | {"route": dict(self.route), "scores": dict(self.scores)}


def read_turn(entry: Mapping[str, Any], where: str) -> Turn:
    """The turn in a line of a session's file; keys of later versions are left out.

    Raises: FileError for one without a question and an answer, or of other types.
    """
    known = {k: v for k, v in entry.items() if k in Turn.__dataclass_fields__}
    for key in ("question", "answer", "worn", "system", "model"):
        value = known.setdefault(key, "auto" if key == "worn" else "")
        if not isinstance(value, str):
            raise FileError(f"{where}: {key}: got {value!r}, expected a text")
    for key in ("route", "scores"):
        if not isinstance(known.get(key, {}), dict):
            raise FileError(f"{where}: {key}: got {known[key]!r}, expected an object")
    counts = ("prompt_tokens", "read_tokens", "completion_tokens", "first_pass_tokens")
    for key in (*counts, "first_token_s", "seconds"):
        value = known.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FileError(f"{where}: {key}: got {value!r}, expected a number")
    if not known["question"]:
        raise FileError(f"{where}: got no question, expected a turn of a chat")
    return Turn(**known)


class Conversation:
    """The turns so far, and what the next one is asked under."""

    def __init__(self, settings: Settings, worn: str = "auto", system: str = ""):
        self.settings = settings
        self.worn = worn
        """The word for it: `auto`, `off`, an expert, a mixture."""
        self.system = system
        self.turns: list[Turn] = []
        self.draft = ""
        """What the next line begins with: a question that is being edited."""

    @property
    def last(self) -> Turn | None:
        """The last turn."""
        return self.turns[-1] if self.turns else None

    def messages(self, question: str | None = None) -> list[dict[str, str]]:
        """All that has been said, and the next question."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for turn in self.turns:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.answer})
        if question is not None:
            messages.append({"role": "user", "content": question})
        return messages

    def take_back(self) -> Turn | None:
        """Forget the last turn, and return it."""
        return self.turns.pop() if self.turns else None

    def begin_anew(self, system: str | None = None) -> None:
        """Forget all turns; under another system message where one is given, "" for none."""
        self.turns = []
        if system is not None:
            self.system = system

    def resume(self, turns: list[Turn]) -> None:
        """Go on from these turns, under the last one's system message."""
        self.turns = list(turns)
        self.system = turns[-1].system if turns else ""
