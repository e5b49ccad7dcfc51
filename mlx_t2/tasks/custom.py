"""A task of one's own: a file of rows, or a YAML file that says more, as a task like any other.

One row: `{"prompt": "2 + 3?", "answer": "5"}`; see `columns.py` for the other forms. All rows
are read and checked at once, and everything wrong with them is one error.

Does not know models, nor what a built-in task is.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import GRADER_NAMES, Grader, make_grader

from .columns import Columns, RowFault, answer_with_texts, choose_columns, list_options
from .dataset import DatasetTask, Row
from .json_lines import Fault, numbered_rows, raise_faults
from .reward import load_reward, pack_row
from .splitting import cut, same_question, without
from .task import OTHER, REFERENCE, SPLITS, Message, Question
from .task_file import TaskFile, read_task_file

FILE_ENDINGS = (".jsonl", ".yaml", ".yml")
_FEW_CLASSES = 26
"""Answers that are this few, and come again, are classes: steps ask for each equally often."""
_MAX_TOKENS = {"number": 256, "math": 512, "code": 384, "contains": 128, "regex": 128}
_OF_A_REWARD = 256
_OF_A_LETTER = 8


@dataclass(frozen=True)
class _Read:
    """The questions of one data file."""

    path: Path
    questions: Sequence[Question]
    lines: Sequence[int]


def make_custom(
    path: Path,
    grader: str | None = None,
    reward: str | None = None,
    max_tokens: int | None = None,
) -> DatasetTask:
    """The task of a file of rows, or of a YAML file.

    grader, reward, max_tokens: instead of what the file says; a reward's path is relative to
        the current folder.
    Raises: TaskDataError that lists what is wrong with the file or its rows; ConfigError for an
    unknown grader or reward.
    """
    said = _read_said(path)
    if grader is not None or reward is not None:
        said = replace(said, grader=grader, reward=None, grader_settings={})
    if max_tokens:
        said = replace(said, max_tokens=max_tokens)
    folder = said.path.parent if reward is None else Path()
    reward = said.reward if reward is None else reward
    own = None if reward is None else load_reward(reward, folder)
    read, name = _read_all(said, needs_answer=own is None)
    questions = [question for part in read for question in part.questions]
    chosen = guess_grader(questions) if said.grader is None and own is None else said.grader
    grading = own or make_grader(chosen or "", **said.grader_settings)
    read = [_finish(part, chosen, said, grading) for part in read]
    parts = _split(said, read)
    prompt = _prompt_of(said)
    digest = _digest(parts, prompt)
    return DatasetTask(
        name=name,
        domain=name,
        description=said.description or f"rows of {said.path.name}",
        rows=lambda split: [{"question": question} for question in parts[split]],
        source=_describe(said, parts, digest, None if said.grader or own else chosen),
        file=str(path.absolute()),
        template=lambda row: row["question"],
        grader=grading,
        max_tokens=said.max_tokens or _guess_max_tokens(chosen, parts),
        prompt=prompt,
    )


def guess_grader(questions: Sequence[Question]) -> str:
    """The grader that suits the answers: code where there are tests, number where all answers
    are numbers, else exact.
    """
    if "code" in GRADER_NAMES and all("tests" in q.row for q in questions):
        return "code"
    if all("options" in q.row for q in questions):
        return "exact"
    number = make_grader("number")
    try:
        for question in questions:
            number.check(question.answer, question.row, "")
            float(question.answer.strip().replace(",", "").lstrip("$€£").rstrip("%"))
    except (TaskDataError, ValueError):
        return "exact"
    return "number"


def _read_said(path: Path) -> TaskFile:
    if path.suffix.lower() in (".yaml", ".yml"):
        return read_task_file(path)
    if path.suffix.lower() == ".jsonl" or path.is_dir():
        return TaskFile(path=path, data=path.name, name=path.stem)
    raise TaskDataError(
        f"{path}: got a file that ends in {path.suffix or 'nothing'!r}, expected "
        f"{' or '.join(FILE_ENDINGS)}"
    )


def _read_all(said: TaskFile, needs_answer: bool) -> tuple[list[_Read], str]:
    """Every data file's rows as questions, and the task's name."""
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in said.name) or "own"
    if name == OTHER:
        raise TaskDataError(
            f"{said.path}: got the name {OTHER!r}, which means the base model, expected another"
        )
    read, raw = [], {}
    for path in said.data_files().values():
        numbered = list(numbered_rows(path))
        raise_faults(path, [(n, row) for n, row in numbered if isinstance(row, str)])
        if not numbered:
            raise TaskDataError(f"{path}: no rows, expected one JSON object per line")
        raw[path] = [(n, row) for n, row in numbered if not isinstance(row, str)]
    for path, numbered in raw.items():
        try:
            rows = [row for _, row in numbered]
            columns = choose_columns(rows, said.template, said.answer, needs_answer)
        except TaskDataError as error:
            raise TaskDataError(f"{path}: {error}") from error
        read.append(_word_rows(path, numbered, columns, name, bool(said.system)))
    return read, name


def _word_rows(
    path: Path,
    numbered: Sequence[tuple[int, Mapping[str, Any]]],
    columns: Columns,
    name: str,
    has_system: bool,
) -> _Read:
    questions: list[Question] = []
    faults: list[Fault] = []
    for number, row in numbered:
        try:
            question = columns.read(name, row)
            if has_system and any(turn["role"] == "system" for turn in question.before):
                raise RowFault("has a system message, and the task has one too")
            questions.append(question)
        except RowFault as fault:
            faults.append((number, str(fault)))
    raise_faults(path, faults)
    return _Read(path, questions, [number for number, _ in numbered])


def _finish(part: _Read, chosen: str | None, said: TaskFile, grader: Grader) -> _Read:
    """The questions as the grader wants them, or an error that lists those it cannot grade."""
    is_own = chosen is None
    is_scored = said.grader is None and not is_own
    questions: list[Question] = []
    faults: list[Fault] = []
    answers: dict[str, tuple[str, int]] = {}
    for number, question in zip(part.lines, part.questions, strict=True):
        try:
            question = _suit(question, chosen, is_scored, said)
            where = f"{part.path.name}, line {number}"
            if is_own:
                packed = pack_row(question.text, question.row, where)
                question = replace(question, row=packed)
            else:
                grader.check(question.answer, question.row, "answer")
                _check_again(question, number, answers)
            if chosen == "regex":  # an answer is a pattern, no completion
                question = replace(question, row={**question.row, REFERENCE: ""})
            questions.append(question)
        except (RowFault, TaskDataError) as fault:
            faults.append((number, str(fault)))
    raise_faults(part.path, faults)
    classes = {question.answer for question in questions}
    are_classes = len(classes) <= min(_FEW_CLASSES, len(questions) // 2)
    kinds = [q.answer if are_classes or chosen == "choice" else "any" for q in questions]
    named = zip(questions, kinds, strict=True)
    return replace(part, questions=[replace(q, kind=kind) for q, kind in named])


def _suit(question: Question, chosen: str | None, is_scored: bool, said: TaskFile) -> Question:
    """With options: scored, or listed where letters are asked for."""
    if "options" not in question.row:
        return question
    if is_scored:
        return answer_with_texts(question)
    return list_options(question) if chosen == "choice" and not said.template else question


def _check_again(question: Question, number: int, answers: dict[str, tuple[str, int]]) -> None:
    """Raise RowFault where the same question was asked with another answer."""
    asked = _whole_text(question)
    former, line = answers.setdefault(asked, (question.answer, number))
    if former.strip() != question.answer.strip():
        raise RowFault(
            f"got answer {question.answer[:40]!r}, but line {line} asks the same and answers "
            f"{former[:40]!r}"
        )


def _whole_text(question: Question) -> str:
    said = [turn["content"] for turn in question.before]
    options = question.row.get("options")
    listed = list(options.values()) if isinstance(options, Mapping) else []
    return same_question("\n".join([*said, question.text, *listed]))


def _split(said: TaskFile, read: Sequence[_Read]) -> dict[str, list[Question]]:
    """The questions of each split; what two splits share stays in the later one alone."""

    def text(row: Mapping[str, Any]) -> str:
        return _whole_text(row["question"])

    rows: list[list[Row]] = [[{"question": q} for q in part.questions] for part in read]
    if said.data is None:
        train, validation, test = rows
        validation = without(validation, text, test)
        held = {"train": without(train, text, validation, test), "validation": validation}
        held["test"] = test
    else:
        shares = [float(said.splits[split]) for split in SPLITS]
        ends = dict(zip(SPLITS, accumulate(shares), strict=True))
        held = cut(rows[0], text, {**ends, "test": 1.0})
    parts = {
        split: [row["question"] for row in held[split][: said.limits.get(split)]]
        for split in SPLITS
    }
    empty = [split for split in SPLITS if not parts[split]]
    if empty:
        different = len({text(row) for part in rows for row in part})
        raise TaskDataError(
            f"{said.path}: got {different} different question{'s' if different > 1 else ''}, "
            f"too few: none is left for {' and '.join(empty)}. Expected a few dozen at least"
        )
    return parts


def _prompt_of(said: TaskFile) -> tuple[Message, ...]:
    system = ({"role": "system", "content": said.system},) if said.system else ()
    turns = [
        {"role": role, "content": text}
        for example in said.examples
        for role, text in zip(("user", "assistant"), example, strict=True)
    ]
    return (*system, *turns)


def _guess_max_tokens(chosen: str | None, parts: Mapping[str, Sequence[Question]]) -> int:
    """Room for the longest answer: a token has a byte at the least, and in longer texts two."""
    if chosen is None:
        return _OF_A_REWARD
    if chosen == "choice":
        return _OF_A_LETTER
    if chosen in _MAX_TOKENS:
        return _MAX_TOKENS[chosen]
    answers = (q.answer.encode(errors="replace") for part in parts.values() for q in part)
    longest = max(map(len, answers))
    return min(512, min(longest, 32) + max(0, longest - 32) // 2 + 4)


def _digest(parts: Mapping[str, Sequence[Question]], prompt: Sequence[Message]) -> str:
    """What is asked in each split, in eight digits."""
    asked = {
        split: [[q.before, q.text, q.answer, sorted(q.row)] for q in questions]
        for split, questions in parts.items()
    }
    text = json.dumps([asked, prompt], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _describe(
    said: TaskFile, parts: Mapping[str, Sequence[Question]], digest: str, guessed: str | None
) -> str:
    counts = ", ".join(f"{len(parts[split])} {split}" for split in SPLITS)
    total = sum(map(len, parts.values()))
    how = "a file for each split" if said.data is None else "split by a hash of the question"
    of_grader = f"; grader {guessed}, guessed from the answers" if guessed else ""
    return f"{said.path.name}, {total} rows ({digest}), {how}: {counts}{of_grader}"
