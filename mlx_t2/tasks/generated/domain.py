"""What the three generated domains have in common, and how their questions are split.

A domain knows how to ask and how to grade. It does not know prompts: the same question is asked
in several prompts, see `prompts.py`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from mlx_t2.grading import Grader

from ..task import Problem, Question, bare_text


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A generator of questions, and how they are graded."""

    name: str
    salt: str
    """What splits and orders are hashed with. It outlives the name: the bundled experts must
    never have seen a test question.
    """
    description: str
    system: str
    examples: tuple[tuple[str, str], ...]
    """(question, answer) turns that show how to answer; never asked in any split."""
    max_tokens: int
    kinds: tuple[str, ...]
    draw: Callable[[str, Iterable[str], Random], Iterator[Question]]
    """(split, kinds, rng) → distinct questions of those kinds; a kind that has run out is
    passed over.
    """
    draw_step: Callable[[Sequence[str], Random], list[Question]]
    """(kinds, rng) → training questions of those kinds that no shortcut can tell apart."""
    grader: Grader
    choose: Callable[[Problem, str], str] = lambda _, completion: bare_text(completion)
    """(problem, completion) → the class, position or text that the completion chose."""


def split_of(salt: str, identity: str) -> str:
    """60, 15 or 25 of 100, from a hash of what makes two questions the same one.

    >>> split_of("code", "the sum of the list xs")
    'train'
    """
    bucket = int(hashlib.md5(f"{salt}:{identity}".encode()).hexdigest(), 16) % 100
    return "train" if bucket < 60 else "validation" if bucket < 75 else "test"
