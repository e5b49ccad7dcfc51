"""What a task is: problems in three splits that share no question, and a grader of completions.

Does not know models, sampling or rewards other than right (1.0) and wrong (0.0).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

Message = dict[str, str]
"""One turn of a chat: {"role": "system" | "user" | "assistant", "content": text}."""

Split = Literal["train", "validation", "test"]

OTHER = "other"
"""The domain of what no expert answers: requests outside all domains. The base model does."""

SPLITS: tuple[str, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Problem:
    """One question, asked in one prompt."""

    id: str
    """Identity of the question, the same in every prompt: "largest/84-17-74"."""
    messages: tuple[Message, ...]
    """The whole chat: system message, example turns, and the question as the last message."""
    answer: str
    """A right answer; others may earn the reward as well."""
    kind: str
    """Class of the right answer, for balancing and for reports by kind."""
    domain: str
    """What an expert is trained on: "largest", "expression", "kind"; or "other"."""


@runtime_checkable
class Task(Protocol):
    """A source of problems with a grader."""

    @property
    def name(self) -> str: ...

    @property
    def domain(self) -> str: ...

    @property
    def splits(self) -> tuple[str, ...]: ...

    @property
    def max_tokens(self) -> int:
        """Longest completion [tokens] that can be right."""
        ...

    @property
    def description(self) -> str: ...

    @property
    def prompt(self) -> tuple[Message, ...]:
        """What a bare question is put behind, so that it looks like the problems trained on."""
        ...

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """The first n problems of the split in the order given by the seed: distinct questions.

        Raises: TaskDataError when the split is unknown or has fewer than n.
        """
        ...

    def step(
        self, n: int, seed: int, balanced: bool = True, progress: float = 0.0
    ) -> list[Problem]:
        """The n training problems of one update.

        balanced: right answers as even as n allows over their classes or positions, so that no
            constant answer pays in any one update.
        progress: share of the training that is done, for a task whose prompt changes with it.
        """
        ...

    def choice(self, problem: Problem, completion: str) -> str:
        """What the completion chose: a class, a position, or its text. One choice for nearly
        all problems is a collapse.
        """
        ...

    def grade(self, attempts: Sequence[tuple[Problem, str]]) -> list[float]:
        """1.0 for each right completion and 0.0 for each wrong one, in order, for any text."""
        ...


def question_of(problem: Problem) -> Message:
    """The message that asks: the last one."""
    return problem.messages[-1]
