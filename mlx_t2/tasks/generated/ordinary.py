"""Ordinary requests, outside every domain, so that a router can learn `other`.

One request: `my cat is sick`. Written for this program, as blocks of text in two files per
split; splits share neither topics nor wordings. They are not graded, the answer is empty. A
block is read line by line:

    * cat; car                      topics, to be put where a wording has {}
    my {} is sick                   a wording; without {} it is one request
    Hi! | Hello! | I am bored.      the turns of a conversation: user, assistant, user

Does not know the three domains, nor what a router is.
"""

from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice
from random import Random

from ..balance import pick
from ..task import OTHER, Message, Problem, Question, check_count, check_split
from . import (
    questions_test,
    questions_train,
    questions_validation,
    small_talk_test,
    small_talk_train,
    small_talk_validation,
)

_QUESTIONS = {
    "train": questions_train.QUESTIONS,
    "validation": questions_validation.QUESTIONS,
    "test": questions_test.QUESTIONS,
}
_SMALL_TALK = {
    "train": small_talk_train,
    "validation": small_talk_validation,
    "test": small_talk_test,
}
Turns = tuple[str, ...]


def ordinary_requests(split: str, n: int, seed: int = 0) -> list[Problem]:
    """The first n requests of the split in the order given by the seed: kinds in turn, single
    lines and conversations.

    Raises: TaskDataError when the split is unknown or has fewer.
    """
    check_split(OTHER, split)
    pools = _requests(split)
    check_count(OTHER, split, n, count_requests(split))
    shuffled = {
        kind: iter(Random(f"{OTHER}/{split}/{seed}/{kind}").sample(pool, len(pool)))
        for kind, pool in pools.items()
    }
    return [_ask(question) for question in islice(pick(shuffled, cycle(sorted(pools))), n)]


def count_requests(split: str) -> int:
    """How many requests a split has."""
    return sum(map(len, _requests(split).values()))


def openings(split: str) -> list[tuple[Message, ...]]:
    """Turns of talk that a request of any kind may follow."""
    return [say_in_turn(turns) for turns, _ in _fill(_SMALL_TALK[split].OPENINGS)]


def system_messages(split: str) -> list[Message]:
    """System messages that people write."""
    return [{"role": "system", "content": text} for text in _SMALL_TALK[split].SYSTEMS]


def say_in_turn(turns: Turns) -> tuple[Message, ...]:
    """The messages of a conversation that the user begins.

    >>> say_in_turn(("Hi!", "Hello!"))[1]
    {'role': 'assistant', 'content': 'Hello!'}
    """
    roles = cycle(("user", "assistant"))
    return tuple(
        {"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False)
    )


def _ask(question: Question) -> Problem:
    messages = say_in_turn(tuple(question.text.split(_TURN)))
    return Problem(question.id, messages, "", question.kind, OTHER)


# Reading blocks

_TURN = " | "


@cache
def _requests(split: str) -> dict[str, list[Question]]:
    """Every request of the split, by kind; the turns of a conversation in one text."""
    talk = _SMALL_TALK[split]
    named = [
        *_QUESTIONS[split].items(),
        *talk.TALK.items(),
        *((f"in turns: {kind}", block) for kind, block in talk.CONVERSATIONS.items()),
    ]
    return {
        kind: [
            Question(f"{OTHER}/{text}", text, "", kind)
            for text in dict.fromkeys(_TURN.join(turns) for turns, _ in _fill(block))
        ]
        for kind, block in named
    }


def _fill(block: str) -> Iterator[tuple[Turns, str]]:
    """Every wording with every topic, and the wording itself."""
    topics, wordings = read_block(block)
    for wording in wordings:
        for topic in topics if "{}" in wording else ("",):
            yield tuple(wording.replace("{}", topic).split(_TURN)), wording


def read_block(block: str) -> tuple[list[str], list[str]]:
    """The topics and the wordings.

    >>> read_block("* cat; car\\n my {} is sick")
    (['cat', 'car'], ['my {} is sick'])
    """
    lines = [" ".join(line.split()) for line in block.splitlines()]
    topics = [
        topic.strip()
        for line in lines
        if line.startswith("* ")
        for topic in line.removeprefix("* ").split(";")
    ]
    return topics, [line for line in lines if line and not line.startswith("* ")]
