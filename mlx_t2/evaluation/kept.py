"""An evaluation whose answers are kept as they are given: stopped, it goes on from its file.

Each answer is on disk before it is seen. A line that was cut off, and a problem that lacks some
of its samples, are answered again. At the end the file is in the task's order, the same bytes
whether it was stopped or not.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlx_t2.adaptation import Strategy
from mlx_t2.errors import TaskDataError
from mlx_t2.files import file_errors, find_kind, split_lines
from mlx_t2.models import SVFModel, check_conversations
from mlx_t2.tasks import Task

from .answering import Asked, Numbered, answer_problems, hash_weights
from .items import (
    IDENTITY,
    GradedItem,
    describe_faults,
    item_line,
    parse_items,
    write_items,
)


def evaluate_into(
    path: Path, model: SVFModel, task: Task, strategy: Strategy, asked: Asked
) -> Iterator[GradedItem]:
    """`evaluate`, with the answers in a file: those that it has already first, then the others
    as they are given.

    Raises: TaskDataError for a file that is not of this evaluation; FileError for one that
        cannot be written.
    """
    problems = list(enumerate(task.problems(asked.split, asked.limit, asked.seed)))
    check_conversations(model, [problem.messages for _, problem in problems])
    fingerprint = hash_weights(model, strategy, problems[0][1])
    expected = {
        "task": task.name,
        "split": asked.split,
        "seed": asked.seed,
        "model": model.name,
        "strategy": strategy.name,
        "samples": asked.samples,
        "temperature": asked.temperature,
        "max_tokens": task.max_tokens,
        "fingerprint": fingerprint,
    }
    done = _read_done(path, expected, problems)
    write_items([item for items in done.values() for item in items], path)
    for place in sorted(done):
        yield from done[place]
    open_problems = [one for one in problems if one[0] not in done]
    answered = answer_problems(model, task, strategy, open_problems, asked, fingerprint)
    for place, items in answered:
        _append(path, items)
        done[place] = items
        yield from items
    write_items([item for place in sorted(done) for item in done[place]], path)


def _append(path: Path, items: Sequence[GradedItem]) -> None:
    with file_errors(path), path.open("a", encoding="utf-8") as file:
        file.writelines(map(item_line, items))
        file.flush()
        os.fsync(file.fileno())


def _read_done(path: Path, expected: dict, problems: Numbered) -> dict[int, list[GradedItem]]:
    """{place: items} of the problems that the file has all samples of."""
    if find_kind(path) is None:
        return {}
    items = _read_started(path)
    for item in items:
        _check_same(path, item, expected)
    places = {problem.id: place for place, problem in problems}
    prompts = [problem.messages for _, problem in problems]
    found: dict[int, dict[int, GradedItem]] = {}
    for item in items:
        place = places.get(item.id)
        if place is None or item.prompt != prompts[place]:
            raise TaskDataError(
                f"{path}: {item.id} is not among the {len(problems)} problems that are asked, "
                "expected a file of the same ones: raise --limit, or name another --out"
            )
        found.setdefault(place, {})[item.sample] = item
    return {
        place: [samples[k] for k in sorted(samples)]
        for place, samples in sorted(found.items())
        if len(samples) == expected["samples"]
    }


def _read_started(path: Path) -> list[GradedItem]:
    """The items of a file whose last line may be cut off."""
    if find_kind(path) == "folder":
        raise TaskDataError(f"{path}: got a folder, expected a file for the answers")
    lines = split_lines(path)
    items, faults = parse_items(lines)
    is_torn = len(faults) == 1 and faults[0].startswith(f"line {len(lines)}: ")
    if faults and not (is_torn and (items or lines[0].startswith(b'{"id": '))):
        raise TaskDataError(f"{describe_faults(path, faults)}. Name another --out")
    return items


def _check_same(path: Path, item: GradedItem, expected: dict) -> None:
    other = [name for name in IDENTITY if getattr(item, name) != expected[name]]
    if other == ["fingerprint"]:
        raise TaskDataError(
            f"{path}: its answers are of other weights of the same name, expected those of "
            f"{expected['strategy']} on {expected['model']}. Name another --out"
        )
    if other:
        named = [name for name in other if name != "fingerprint"]
        got = ", ".join(f"{name} {getattr(item, name)!r}" for name in named)
        wanted = ", ".join(f"{expected[name]!r}" for name in named)
        raise TaskDataError(
            f"{path}: got answers of another evaluation, with {got}, expected {wanted}. Name "
            "another --out"
        )
