"""A task made of rows: rows + template + grader.

One row, as a file or a hub has it: `{"question": "2 + 3?", "answer": "5"}`. The template words
it as a question; everything else that a task needs is here, with its default.

Does not know where rows are from, how they are graded, nor models.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import cycle, islice
from random import Random
from typing import Any

from mlx_t2.grading import Attempt, Grade, Grader

from .balance import kinds_in_turn, pick_shuffled
from .task import (
    ALL,
    SPLITS,
    Message,
    Problem,
    Question,
    ask,
    bare_text,
    check_count,
    check_split,
)

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class DatasetTask:
    """Rows of a data set, worded by a template and graded by a grader."""

    name: str
    domain: str
    description: str
    rows: Callable[[str], Sequence[Row]]
    """The rows of a split. Called when a split is first needed, once."""
    template: Callable[[Row], Question]
    """A row in words, with its identity, right answer and kind."""
    grader: Grader
    max_tokens: int
    source: str = "rows of one's own"
    """Where the rows are from and how they were split, in a line."""
    file: str = ""
    """The task file of its maker, absolute; empty for a task that the program has."""
    prompt: tuple[Message, ...] = ()
    splits: tuple[str, ...] = SPLITS
    has_all: bool = False
    """Whether `rows` knows a split `all` too, which shares problems with the others."""
    extract: Callable[[str], str] = bare_text
    """What a completion answers, to notice when all answer alike."""

    @property
    def rule(self) -> str:
        return self.grader.rule

    @property
    def worst_reward(self) -> float:
        return self.grader.worst_reward

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """Kinds drawn at random: the accuracy on some estimates that on all."""
        questions = self._questions(split)
        check_count(self.name, split, n, len(questions))
        order = Random(f"{self.name}/{split}/{seed}").sample(questions, len(questions))
        return [self._ask(question) for question in order[:n]]

    def available(self, split: str, n: int) -> int:
        return min(n, len(self._questions(split)))

    def step(
        self, n: int, seed: int, balanced: bool = True, progress: float = 0.0
    ) -> list[Problem]:
        """Kinds in turn, starting at kind number `seed`; one that has run out is passed over.
        Unbalanced: drawn at random.
        """
        questions, rng = self._questions("train"), Random(f"{self.name}/step/{seed}")
        check_count(self.name, "train", n, len(questions))
        if not balanced:
            return [self._ask(question) for question in rng.sample(questions, n)]
        pools: dict[str, list[Question]] = {}
        for question in questions:
            pools.setdefault(question.kind, []).append(question)
        kinds = cycle(kinds_in_turn(sorted(pools), len(pools), seed))
        return [self._ask(question) for question in islice(pick_shuffled(pools, kinds, rng), n)]

    def choice(self, problem: Problem, completion: str) -> str:
        return self.extract(completion)

    def grade(self, attempts: Sequence[tuple[Problem, str]]) -> list[Grade]:
        return self.grader.grade([Attempt(p.id, p.answer, text, p.row) for p, text in attempts])

    def begin(
        self, attempts: Sequence[tuple[Problem, str]]
    ) -> Callable[[], list[Grade]] | None:
        begin = self.grader.begin
        return begin and begin([Attempt(p.id, p.answer, text, p.row) for p, text in attempts])

    def _ask(self, question: Question) -> Problem:
        return ask(question, self.prompt, self.domain)

    def _questions(self, split: str) -> list[Question]:
        check_split(self.name, split, (*self.splits, *([ALL] if self.has_all else [])))
        if split not in self._read:
            self._read[split] = _number([self.template(row) for row in self.rows(split)])
        return self._read[split]

    @cached_property
    def _read(self) -> dict[str, list[Question]]:
        """What has been read so far, by split."""
        return {}


def _number(questions: Sequence[Question]) -> list[Question]:
    """The questions with an identity each: what is asked again gets a number."""
    seen: Counter[str] = Counter()
    numbered = []
    for question in questions:
        seen[question.id] += 1
        again = seen[question.id]
        numbered.append(
            question if again == 1 else replace(question, id=f"{question.id}-{again}")
        )
    return numbered
