"""What a router learns from and is checked with: questions of known domains and ordinary
requests, asked in all the ways people ask them.

Knows tasks; knows no models and no head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle

from mlx_t2.tasks import (
    Problem,
    Task,
    count_requests,
    openings,
    ordinary_requests,
    public_requests,
    question_of,
    shared_prompt,
    system_messages,
)

from .router import Conversation

Examples = Sequence[Problem]
_MOST = {"train": (160, 900, 40), "validation": (80, 500, 20), "test": (200, 240, 40)}
"""Split → questions of each label, own ordinary requests, requests of each public data set."""
_MIXED_IN = 6
"""Every sixth ordinary request is asked again, behind something else."""
_WAYS = 7
_ANSWERED = 6
"""Questions of each label that ordinary requests are asked after."""


def router_examples(
    tasks: Mapping[str, Task], split: str = "train", seed: int = 0, with_public: bool = True
) -> Examples:
    """Questions of every label's task, and ordinary requests as `other`.

    A question is asked bare, and every other one again: in the task's own prompt, behind the
    prompt that the generated domains share, under somebody's system message, after talk, after
    another question of its domain and after one of another. Ordinary requests are asked as they
    are, some of them in the same ways: asked bare only, they would teach a router to tell
    prompts, not questions.

    tasks: {label: the task whose questions it answers}.
    with_public: requests of public data sets, too, where a mirror of them is at hand.
    Raises: TaskDataError for a task without problems in that split.
    """
    most = _MOST[split][0]
    drawn = {
        label: task.problems(split, max(1, task.available(split, most)), seed)
        for label, task in sorted(tasks.items())
    }
    turns = _Turns(split, drawn)
    asked = [
        replace(problem, domain=label, messages=messages)
        for label, problems in drawn.items()
        for i, problem in enumerate(problems)
        for messages in turns.ask(problem, problems[i - 1], i)
    ]
    return [*asked, *_ordinary(split, tasks, turns, seed, with_public)]


def _ordinary(
    split: str, tasks: Mapping[str, Task], turns: "_Turns", seed: int, with_public: bool
) -> list[Problem]:
    _, own, public = _MOST[split]
    domains = {name for task in tasks.values() for name in (task.name, task.domain)}
    requests = [
        *ordinary_requests(split, min(own, count_requests(split)), seed),
        *(public_requests(split, public, seed, domains) if with_public else ()),
    ]
    single = [problem for problem in requests if len(problem.messages) == 1]
    behind = [
        replace(problem, messages=(*before, question_of(problem)))
        for problem, before in zip(single[::_MIXED_IN], cycle(turns.before()), strict=False)
    ]
    return [*requests, *behind]


class _Turns:
    """What questions of a split are put behind."""

    def __init__(self, split: str, drawn: Mapping[str, Sequence[Problem]]):
        self._talk = openings(split)
        self._systems = [(message,) for message in system_messages(split)]
        self._drawn = drawn

    def ask(self, problem: Problem, neighbor: Problem, i: int) -> list[Conversation]:
        """Question number i in the ways that it is asked: bare, and behind something."""
        question = question_of(problem)
        if i % 2:
            return [(question,)]
        way, turn = i // 2 % _WAYS, i // 2 // _WAYS
        behind = self._behind(problem, neighbor, turn)[way]
        return [(question,), *([(*behind, question)] if behind else [])]

    def _behind(
        self, problem: Problem, neighbor: Problem, turn: int
    ) -> tuple[Conversation, ...]:
        strangers = [p for p in self._drawn.values() if p[0].domain != problem.domain]
        stranger = strangers[turn % len(strangers)] if strangers else [neighbor]
        return (
            self._talk[turn % len(self._talk)],
            problem.messages[:-1],
            _answer(neighbor),
            shared_prompt(),
            self._systems[turn % len(self._systems)],
            _answer(stranger[turn % len(stranger)]),
            self._talk[(turn + len(self._talk) // 2) % len(self._talk)],
        )

    def before(self) -> list[Conversation]:
        """What ordinary requests are put behind, each in turn."""
        some = [problems[:_ANSWERED] for problems in self._drawn.values()]
        answered = [_answer(problem) for problems in some for problem in problems]
        prompts = [problems[0].messages[:-1] for problems in some]
        return [
            *self._talk,
            *answered,
            *(
                (*one, *other)
                for one, other in zip(answered[::2], answered[1::2], strict=False)
            ),
            shared_prompt(),
            *self._systems,
            *filter(None, prompts),
        ]


def _answer(problem: Problem) -> Conversation:
    """The question, rightly answered, as turns that others may follow."""
    return (question_of(problem), {"role": "assistant", "content": problem.answer})
