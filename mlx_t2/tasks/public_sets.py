"""Questions of public data sets as ordinary requests, where a mirror of them is at hand.

The mirror is the folder that MLX_T2_DATA names, with the rows as JSON lines, in
`<data set>/<part>.jsonl`; what is not there is left out. A part that is the only one of its
data set is cut in three by a hash of the question, as the tasks cut it. `ordinary_requests` are
requests that people wrote (a column `prompt`); the others are what an expert may have been
trained on, and then they are its domain and no ordinary requests.

Knows the columns that ask; does not know answers, experts or routers.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from mlx_t2.errors import TaskDataError
from mlx_t2.files import find_kind

from .json_lines import read_json_lines
from .source import mirror_folder
from .splitting import position_of
from .task import OTHER, Problem, Question, ask, check_split

Row = Mapping[str, Any]
_ENDS = {"train": 0.4, "validation": 0.5, "test": 1.0}
"""Where the only part of a data set is cut."""


@dataclass(frozen=True)
class _Source:
    """The questions of one data set."""

    folder: str
    question: Callable[[Row], str]
    parts: Mapping[str, str]
    """{split: published part}; one that names a single part for `cut` is cut in three."""
    family: str
    """What an expert of this or a kindred data set is for; empty: no expert is for these."""


def _ask_with_options(row: Row) -> str:
    options = row["choices"]
    lines = [
        f"{key}. {text}" for key, text in zip(options["label"], options["text"], strict=True)
    ]
    return "\n".join((row["question"], *lines))


_SOURCES = {
    "ordinary_requests": _Source(
        "ordinary_requests", lambda row: row["prompt"], {"cut": "train"}, ""
    ),
    "gsm8k": _Source(
        "openai--gsm8k",
        lambda row: row["question"],
        {"train": "train", "test": "test"},
        "mathematics",
    ),
    "math": _Source(
        "EleutherAI--hendrycks_math", lambda row: row["problem"], {"cut": "test"}, "mathematics"
    ),
    "mbpp": _Source(
        "google-research-datasets--mbpp",
        lambda row: row["text"],
        {"train": "train", "validation": "validation", "test": "test"},
        "code",
    ),
    "humaneval": _Source(
        "openai--openai_humaneval", lambda row: row["prompt"], {"test": "test"}, "code"
    ),
    "arc-easy": _Source(
        "allenai--ai2_arc--ARC-Easy", _ask_with_options, {"cut": "test"}, "science"
    ),
    "arc-challenge": _Source(
        "allenai--ai2_arc--ARC-Challenge", _ask_with_options, {"cut": "test"}, "science"
    ),
}


def public_requests(
    split: str, n: int, seed: int = 0, domains: Collection[str] = ()
) -> list[Problem]:
    """At most n questions of each public data set, in the order given by the seed; none where
    MLX_T2_DATA is not set.

    domains: names of tasks or domains that experts answer for: their data sets, and kindred
        ones, are left out.
    Raises: TaskDataError for a mirror that is not a folder, or a file in it with other rows.
    """
    check_split(OTHER, split)
    mirror = mirror_folder()
    if mirror is None:
        return []
    taken = {_SOURCES[name].family for name in _SOURCES if _is_named(name, domains)}
    found = []
    for name, source in _SOURCES.items():
        if source.family and source.family in taken:
            continue
        texts = _read(mirror, source, split)
        Random(f"{name}/{split}/{seed}").shuffle(texts)
        found += [
            ask(Question(f"{OTHER}/{name}/{text[:60]}", text, "", name), (), OTHER)
            for text in texts[:n]
        ]
    return found


def _is_named(name: str, domains: Collection[str]) -> bool:
    """`arc-easy-letter` is of `arc-easy`."""
    return any(domain == name or domain.startswith(f"{name}-") for domain in domains)


def _read(mirror: Path, source: _Source, split: str) -> list[str]:
    """The questions of a split, each once; none where the file is not there."""
    part = source.parts.get("cut", source.parts.get(split))
    file = mirror / source.folder / f"{part}.jsonl"
    if part is None or find_kind(file) != "file":
        return []
    try:
        texts = dict.fromkeys(str(source.question(row)) for row in read_json_lines(file))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, TaskDataError):
            raise
        raise TaskDataError(
            f"{file}: got a row without {error}, expected the columns of the data set"
        ) from error
    is_cut = "cut" in source.parts
    return [text for text in texts if text.strip() and (not is_cut or _split_of(text) == split)]


def _split_of(question: str) -> str:
    position = position_of(question)
    return next(split for split, end in _ENDS.items() if position < end)
