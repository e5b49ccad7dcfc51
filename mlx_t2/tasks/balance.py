"""Questions of every kind in equal numbers. Knows kinds; knows no prompts and no graders.

Differs (18): every step asks for each kind equally often, so that no constant answer pays.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random

from .task import Question


def kinds_in_turn(kinds: Sequence[str], n: int, start: int) -> list[str]:
    """n kinds in turn, from kind number `start` on: where n leaves some out, they change.

    >>> kinds_in_turn(["A", "B", "C"], 5, start=1)
    ['B', 'C', 'A', 'B', 'C']
    """
    return [kinds[(start + i) % len(kinds)] for i in range(n)]


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


def pick_shuffled(
    pools: Mapping[str, Sequence[Question]], kinds: Iterable[str], rng: Random
) -> Iterator[Question]:
    """As `pick`, each pool in an order of its own."""
    return pick({k: iter(rng.sample(pool, len(pool))) for k, pool in pools.items()}, kinds)
