"""Which columns of people's rows ask and answer: found by name, or told.

`{"prompt": …, "answer": …}`, mlx-lm's `{"prompt": …, "completion": …}` and `{"messages": […]}`
with the answer as the last turn, `{"question": …, "answer": …}`; or a template over any
columns. Does not know files, splits or graders.
"""

import math
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlx_t2.errors import TaskDataError

from .json_lines import name_kind
from .task import Message, Question, name_question

Row = Mapping[str, Any]
_PROMPTS, _ANSWERS = ("prompt", "question"), ("answer", "completion")
_MESSAGES = "messages"
_OPTIONS = ("options", "choices")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ROLES = ("system", "user", "assistant")


class RowFault(Exception):
    """What is wrong with a row. It becomes a line of the file's one error."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where the question, the answer and the options of a row are."""

    prompt: str | None
    """A column; None: the template, or messages."""
    template: str | None
    answer: str | None
    """A column; None: the last turn of the messages, or no answer at all."""
    options: str | None

    @property
    def are_messages(self) -> bool:
        return self.prompt is None and self.template is None

    def read(self, name: str, row: Row) -> Question:
        """The row as a question of the task of that name. Raises RowFault."""
        before: tuple[Message, ...] = ()
        if self.are_messages:
            *earlier, asked, answered = _read_messages(row)
            before, text, answer = tuple(earlier), asked["content"], answered["content"]
        else:
            text = self._word(row)
            answer = _read_answer(row, self.answer) if self.answer else ""
        has_options = self.options is not None and self.options in row
        options = read_options(row[self.options]) if self.options and has_options else {}
        said = (turn["content"] for turn in before)
        return Question(
            id=name_question(name, *said, text, *options.values()),
            text=text,
            answer=answer,
            kind="",
            row={**row, **({"options": options} if options else {})},
            before=before,
        )

    def _word(self, row: Row) -> str:
        if self.template is None:
            return _read_text(row, self.prompt or "")
        try:
            text = self.template.format_map(row)
        except (KeyError, IndexError, AttributeError, ValueError, TypeError) as error:
            raise RowFault(
                f"the template does not fit ({type(error).__name__}: {error})"
            ) from error
        return _check_text("template", text)


def choose_columns(
    rows: Sequence[Row], template: str | None, answer: str | None, needs_answer: bool
) -> Columns:
    """Where rows with these columns ask and answer.

    template, answer: what its maker named; needs_answer: whether a row is graded by it.
    Raises: TaskDataError where no way to read them fits, or several do.
    """
    there = dict.fromkeys(column for row in rows for column in row)
    options = next((column for column in _OPTIONS if column in there), None)
    has_answers = _MESSAGES in there and template is None
    answer = answer or _one_of(_ANSWERS, there, "answer", needs_answer and not has_answers)
    if answer and answer not in there:
        raise TaskDataError(f"answer: got column {answer!r}, the rows have {_list(there)}")
    if template is not None:
        _check_template(template, there)
        return Columns(prompt=None, template=template, answer=answer, options=options)
    prompt = _one_of((*_PROMPTS, _MESSAGES), there, "template", needed=True)
    if prompt == _MESSAGES:
        if answer in there:
            raise TaskDataError(
                f"got columns {_MESSAGES} and {answer}, expected one of them: the last turn of "
                "messages is the answer. Leave one out"
            )
        return Columns(prompt=None, template=None, answer=None, options=options)
    return Columns(prompt=prompt, template=None, answer=answer, options=options)


def read_options(value: Any) -> dict[str, str]:
    """{key: text} of a list of texts, of such an object, or of ARC's `{"text", "label"}`.

    Raises: RowFault.

    >>> read_options(["yes", "no"])
    {'A': 'yes', 'B': 'no'}
    """
    if isinstance(value, Mapping) and {"text", "label"} <= value.keys():
        if not isinstance(value["text"], list) or not isinstance(value["label"], list):
            raise RowFault("options: expected lists in text and label")
        pairs = list(zip(value["label"], value["text"], strict=False))
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(zip([*_LETTERS, *range(len(value))], value, strict=False))
    else:
        raise RowFault(f"options: got {name_kind(value)}, expected a list of texts")
    found = {str(key): text for key, text in pairs}
    if not 2 <= len(found) <= len(_LETTERS) or not all(
        isinstance(text, str) and text.strip() for text in found.values()
    ):
        raise RowFault(f"options: got {len(found)}, expected 2 to 26 texts that are not empty")
    if len(set(found.values())) == 1:
        raise RowFault(f"options: got {len(found)} of one text, expected two at least")
    return found


def answer_with_texts(question: Question) -> Question:
    """The question with its options as all that can be answered, and the text of the right one
    as the answer. Raises RowFault where the answer is no option.
    """
    options: Mapping[str, str] = question.row["options"]
    texts = tuple(dict.fromkeys(options.values()))
    answer = question.answer.strip()
    text = answer if answer in texts else options.get(answer)
    if text is None:
        raise RowFault(
            f"got answer {answer[:40]!r}, expected an option or one of {', '.join(options)}"
        )
    return replace(question, answer=text, options=texts)


def list_options(question: Question) -> Question:
    """The question with its options listed under it, unless it shows them already."""
    options: Mapping[str, str] = question.row["options"]
    if all(text in question.text for text in options.values()):
        return question
    listed = "\n".join(f"{key}. {text}" for key, text in options.items())
    return replace(question, text=f"{question.text}\n{listed}")


def _one_of(names: Iterable[str], there: Iterable[str], key: str, needed: bool) -> str | None:
    """The one of these columns that is there."""
    columns, names = list(there), list(names)
    found = [name for name in names if name in columns]
    if len(found) > 1:
        raise TaskDataError(
            f"got columns {' and '.join(found)}, expected one of them. Leave the others out, "
            f"or say which in a YAML file (key {key})"
        )
    if not found and needed:
        raise TaskDataError(
            f"got columns {_list(columns)}, expected {' or '.join(names)}. Rename a column, or "
            f"say what it is in a YAML file (key {key})"
        )
    return found[0] if found else None


def _check_template(template: str, there: Iterable[str]) -> None:
    """Raise TaskDataError where it asks for what the rows do not have."""
    try:
        fields = [part for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise TaskDataError(
            f"template: {error}. A brace that is meant is written twice: {{{{ or }}}}"
        ) from error
    for _, field, form, _ in fields:
        if "." in str(field) or re.search(r"\d{4}|[{}]", form or ""):  # such a width is a bomb
            raise TaskDataError(
                f"template: got {{{field}{form and ':'}{form}}}, expected a column like "
                "{prompt}, or an entry of one like {meta[source]}"
            )
    named = {str(field).split("[")[0] for _, field, _, _ in fields}
    unknown = sorted(named - set(there))
    if unknown:
        raise TaskDataError(
            f"template: got {', '.join(f'{{{name}}}' for name in unknown)}, the rows have "
            f"{_list(there)}. A brace that is meant is written twice: {{{{ or }}}}"
        )
    if not named:
        raise TaskDataError(
            f"template: got no column in it, expected some like {{prompt}} of {_list(there)}"
        )


def _read_text(row: Row, column: str) -> str:
    if column not in row:
        raise RowFault(f"lacks {column}")
    value = row[column]
    if not isinstance(value, str):
        raise RowFault(f"{column}: got {name_kind(value)}, expected a text")
    return _check_text(column, value)


def _check_text(column: str, text: str) -> str:
    if not text.strip():
        raise RowFault(f"{column}: empty, expected a text")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise RowFault(f"{column}: got half a character (a lone surrogate), expected a text")
    return text


def _read_answer(row: Row, column: str) -> str:
    """A text, or a number as it is written."""
    value = row.get(column)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise RowFault(f"{column}: got {value}, expected a finite number or a text")
        return str(value)
    return _read_text(row, column)


def _read_messages(row: Row) -> list[Message]:
    """Turns that end with a question and its answer."""
    if _MESSAGES not in row:
        raise RowFault(f"lacks {_MESSAGES}")
    turns = row[_MESSAGES]
    if not isinstance(turns, list):
        raise RowFault(f"{_MESSAGES}: got {name_kind(turns)}, expected a list of turns")
    for turn in turns:
        if not isinstance(turn, dict) or turn.get("role") not in _ROLES:
            got = repr(turn.get("role"))[:40] if isinstance(turn, dict) else name_kind(turn)
            raise RowFault(
                f"{_MESSAGES}: got {got}, expected turns with a role of {', '.join(_ROLES)}"
            )
        if not isinstance(turn.get("content"), str):
            raise RowFault(
                f"{_MESSAGES}: got {name_kind(turn.get('content'))}, expected a text as "
                "content of every turn"
            )
        _check_text(_MESSAGES, turn["content"])
    roles = [turn["role"] for turn in turns]
    if roles[-2:] != ["user", "assistant"]:
        raise RowFault(
            f"{_MESSAGES}: got {', '.join(map(str, roles[-2:])) or 'no turn'} at the end, "
            "expected user, assistant"
        )
    if "system" in roles[1:]:
        raise RowFault(f"{_MESSAGES}: expected the system message first")
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]


def _list(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
