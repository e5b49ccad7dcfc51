"""A task: problems in three splits that share no question, and a grader of completions.

Differs (14): training, validation and test problems are disjoint. Steps and experts are chosen
on validation, and test problems are for reporting alone; the reference trains its classifier,
and selects its few-shot mixtures, on questions of the test sets.

Does not know models or sampling.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import Grade

Message = dict[str, str]
"""One turn of a chat: {"role": "system" | "user" | "assistant", "content": text}."""

OTHER = "other"
"""The domain of what no expert answers: requests outside all domains. The base model does."""

REFERENCE = "reference solution"
"""Where a question's row keeps a whole right completion, the answer not being one; empty where
none is known.
"""

_LINE, _SHORT = 120, 200
"""Longest description and longest example of a task [characters]."""

SPLITS: tuple[str, ...] = ("train", "validation", "test")

ALL = "all"
"""A split that some tasks have beside the others: every row of a published test part, for
whoever never trained on any of it.
"""


@dataclass(frozen=True)
class Question:
    """A question without a prompt around it."""

    id: str
    """Identity, the same in every prompt: "largest/84-17-74"."""
    text: str
    answer: str
    """A right answer; others may be right as well."""
    kind: str
    """Class of the right answer, for balancing and for reports by kind."""
    options: tuple[str, ...] = ()
    """All possible answers, where they are few and known: the policy chooses among these."""
    cluster: str = ""
    """What it shares with other problems (a template, a passage); empty: nothing."""
    row: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What it was made from, for graders that need more than the answer."""
    before: tuple[Message, ...] = ()
    """Earlier turns of its conversation."""


@dataclass(frozen=True)
class Problem:
    """One question, asked in one prompt."""

    id: str
    """Identity of the question, the same in every prompt: "largest/84-17-74"."""
    messages: tuple[Message, ...]
    """The whole chat: system message, example turns, and the question as the last message."""
    answer: str
    """A right answer; others may be right as well."""
    kind: str
    """Class of the right answer, for balancing and for reports by kind."""
    domain: str
    """What an expert is trained on: "largest", "expression", "kind"; or "other"."""
    options: tuple[str, ...] = ()
    """All possible answers, where they are few and known: the policy chooses among these."""
    cluster: str = ""
    """What it shares with other problems (a template, a passage); empty: nothing."""
    row: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What it was made from, for graders that need more than the answer."""


@runtime_checkable
class Task(Protocol):
    """A source of problems with a grader."""

    @property
    def name(self) -> str: ...

    @property
    def domain(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def source(self) -> str:
        """Where its problems are from and how they were split, in a line. Whoever reports on
        the task shows it, and the expert's file keeps it.
        """
        ...

    @property
    def file(self) -> str:
        """The task file of its maker, absolute; empty for a task that the program has."""
        ...

    @property
    def splits(self) -> tuple[str, ...]: ...

    @property
    def prompt(self) -> tuple[Message, ...]:
        """What a bare question is put behind, so that it looks like the problems trained on."""
        ...

    @property
    def max_tokens(self) -> int:
        """Longest completion [tokens] that can be right."""
        ...

    @property
    def rule(self) -> str:
        """The reward in words: "1 for the number alone, else 0"."""
        ...

    @property
    def worst_reward(self) -> float:
        """The least that a wrong completion can earn; one cut off by the limit earns it."""
        ...

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """The first n problems of the split in the order given by the seed: distinct questions.

        Raises: TaskDataError when the split is unknown or has fewer than n.
        """
        ...

    def available(self, split: str, n: int) -> int:
        """n, or as many problems as the split has, if that is less."""
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

    def grade(self, attempts: Sequence[tuple[Problem, str]]) -> list[Grade]:
        """One grade per (problem, completion), in order, for any text.

        Raises: SandboxError where the grader itself fails; that is never a reward.
        """
        ...


def ask(question: Question, prompt: Sequence[Message], domain: str) -> Problem:
    """The question as a problem, asked after the prompt's messages."""
    messages = (*prompt, *question.before, {"role": "user", "content": question.text})
    return Problem(
        question.id,
        messages,
        question.answer,
        question.kind,
        domain,
        question.options,
        question.cluster,
        question.row,
    )


def question_of(problem: Problem) -> Message:
    """The message that asks: the last one."""
    return problem.messages[-1]


def describe_task(task: Task) -> str:
    """What the task asks, in one line of text that can be printed; what the generated tasks say
    of their prompts behind a semicolon is not about that.

    Of a task without a description its name.
    """
    line = " ".join(task.description.partition(";")[0].split())[:_LINE]
    return line if line and line.isprintable() else task.name


def example_questions(task: Task, seed: int = 0, n: int = 2) -> tuple[str, ...]:
    """Some questions of the task that an expert for it may show: of its training problems, the
    first short ones; none where it has none.
    """
    if "train" not in task.splits:
        return ()
    drawn = task.problems("train", task.available("train", 8 * n), seed)
    texts = (question_of(problem)["content"] for problem in drawn)
    return tuple(text for text in texts if len(text) <= _SHORT)[:n]


def shared_options(task: Task, seed: int = 0) -> tuple[str, ...]:
    """What every problem of the task can be answered with; nothing where that differs, or where
    answers are free.
    """
    if "train" not in task.splits:
        return ()
    drawn = task.problems("train", task.available("train", 16), seed)
    options = {problem.options for problem in drawn}
    return options.pop() if len(options) == 1 else ()


def bare_text(completion: str) -> str:
    """The text in lower case without blanks around it: what it chose, if nothing else is known.

    >>> bare_text(" Animal\\n")
    'animal'
    """
    return completion.strip().lower()


def name_question(task: str, *parts: str) -> str:
    """An identity made of what is asked.

    >>> name_question("gsm8k", "2 + 3?")
    'gsm8k/c1f22f18a43e'
    """
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return f"{task}/{hashlib.sha256(text).hexdigest()[:12]}"


def check_split(where: str, split: str, known: Sequence[str] = SPLITS) -> None:
    """Raises: TaskDataError when there is no such split."""
    if split not in known:
        expected = f"one of {', '.join(known)}" if len(known) > 1 else known[0]
        raise TaskDataError(f"{where}: unknown split {split!r}, expected {expected}")


def check_count(where: str, split: str, n: int, most: int) -> None:
    """Raises: TaskDataError when a split has fewer problems than are asked for."""
    if n > most:
        raise TaskDataError(
            f"{where}: got {n} problems to draw, expected at most {most} of the {split} split"
        )
