"""What the three generated domains have in common: questions, their split, their order.

A domain knows how to ask and how to grade. It does not know prompts: the same question is asked
in several forms, see `forms.py`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, runtime_checkable

from mlx_t2.errors import TaskDataError

from ..task import SPLITS


@dataclass(frozen=True)
class Question:
    """A question without a prompt around it."""

    id: str
    text: str
    answer: str
    kind: str


@runtime_checkable
class Domain(Protocol):
    """A generator of questions and their grader."""

    @property
    def name(self) -> str: ...

    @property
    def salt(self) -> str:
        """What splits and orders are hashed with. It outlives the name: the bundled experts
        must never have seen a test question.
        """
        ...

    @property
    def description(self) -> str: ...

    @property
    def system(self) -> str: ...

    @property
    def examples(self) -> tuple[tuple[str, str], ...]:
        """(question, answer) turns that show the form; never asked in any split."""
        ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def kinds(self) -> tuple[str, ...]: ...

    def draw(self, split: str, kinds: Iterable[str], rng: Random) -> Iterator[Question]:
        """Distinct questions of the asked kinds; a kind that has run out is passed over."""
        ...

    def step(self, kinds: Sequence[str], rng: Random) -> list[Question]:
        """Training questions of the asked kinds that no shortcut can tell apart."""
        ...

    def grade(self, attempts: Sequence[tuple[str, str, str]]) -> list[float]:
        """Rewards of (question id, reference answer, completion)."""
        ...

    def choice(self, identity: str, completion: str) -> str:
        """The class, position or text that the completion chose for the question of that id."""
        ...


def split_of(salt: str, identity: str) -> str:
    """60, 15 or 25 of 100, from a hash of what makes two questions the same one."""
    bucket = int(hashlib.md5(f"{salt}:{identity}".encode()).hexdigest(), 16) % 100
    return "train" if bucket < 60 else "validation" if bucket < 75 else "test"


def check_split(where: str, split: str) -> None:
    """Raises: TaskDataError when there is no such split."""
    if split not in SPLITS:
        raise TaskDataError(f"{where}: unknown split {split!r}, expected one of {SPLITS}")


def shuffled_blocks(kinds: Sequence[str], rng: Random) -> Iterator[str]:
    """Every kind once in random order, again and again."""
    while True:
        yield from rng.sample(kinds, len(kinds))


def pick(pools: Mapping[str, Iterator[Question]], kinds: Iterable[str]) -> Iterator[Question]:
    """The next question of each asked kind, until every pool is empty."""
    left = dict(pools)
    for kind in kinds:
        question = next(left.get(kind, iter(())), None)
        if question is not None:
            yield question
        else:
            left.pop(kind, None)
        if not left:
            return
