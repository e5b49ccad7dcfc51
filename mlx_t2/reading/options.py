"""Which prompts to read in one batch with the options behind each of them. Knows lengths alone.

A batch reads what its prompts begin with once, pads each prompt to its longest one, and each
option to the longest of all:

    p p p p · | a a a · ·         two prompts with two options each:
              | a a · · ·         the prompts in 2 rows of 5,
    p p p p p | a a a a a         then the options in 4 rows of 5
              | a · · · ·
"""

from collections.abc import Sequence

from .rows import PASS, common_prefix


def plan_options(
    prompts: Sequence[Sequence[int]], options: Sequence[Sequence[Sequence[int]]], most: int
) -> list[list[int]]:
    """Indices of the prompts, batch by batch, so that as little padding is read as may be.

    The prompts are put in order of length, their own and their longest option's, and this order
    is cut where it costs least: the cheapest cut of the first j is the cheapest of the first i,
    and one batch of the rest.

    most: options in one batch, but for a prompt that has more by itself.
    """
    longest = [max(map(len, group)) for group in options]
    counts = [len(group) for group in options]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]) + counts[i] * longest[i])
    shared = common_prefix(prompts)
    best, cut = [0], [0]
    for end in range(1, len(order) + 1):
        least, at, rows, tail, option = None, end - 1, 0, 0, 0
        for start in reversed(range(end)):
            i = order[start]
            rows += counts[i]
            tail, option = max(tail, len(prompts[i]) - 1), max(option, longest[i])
            if rows > most and start < end - 1:
                break
            read = PASS + shared + (end - start) * (tail - shared) + rows * option
            if least is None or best[start] + read < least:
                least, at = best[start] + read, start
        assert least is not None
        best.append(least)
        cut.append(at)
    batches, end = [], len(order)
    while end:
        batches.append(order[cut[end] : end])
        end = cut[end]
    return batches[::-1]
