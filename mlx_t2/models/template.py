"""A conversation → token ids, by the model's own chat template, or without one.

Templates are programs of strangers. What they refuse for its form alone (a system message, two
turns of one role) is put into a form that they take; anything else that they say is an error in
their own words. What somebody typed stays text: the name of a control token in it ends no turn.
Knows tokenizers and messages; knows no weights.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from mlx_t2.errors import ModelError

Messages = Sequence[dict[str, str]]

NO_TEMPLATE = (
    "its tokenizer has no chat template: a single question is read as it stands, and a "
    "conversation as paragraphs of User: and Assistant:"
)
NO_SYSTEM = (
    "its chat template takes no system message: the text stands in front of the first question"
)


class ChatTemplate:
    """How one tokenizer writes conversations down."""

    def __init__(self, tokenizer: Any, remark: Callable[[str], None]):
        """remark: is told what is done otherwise than asked."""
        self._tokenizer = tokenizer
        self._remark = remark

    def encode(self, messages: Messages) -> list[int]:
        """The token ids up to where the assistant's next answer begins.

        Raises: ModelError where the template fails, or leaves nothing to read.
        """
        if self._tokenizer.has_chat_template:
            ids = self._apply_any([dict(message) for message in messages])
        else:
            self._remark(NO_TEMPLATE)
            as_text = {"split_special_tokens": True} if self._has_controls(messages) else {}
            ids = list(self._tokenizer.encode(write_plainly(messages), **as_text))
        if not ids:
            raise ModelError("the conversation gives no tokens, expected at least one")
        return ids

    def _apply_any(self, messages: list[dict[str, str]]) -> list[int]:
        """The first form of the conversation that the template takes."""
        has_system = any(message["role"] == "system" for message in messages)
        folded = fold_system(messages)
        forms = [messages, join_turns(messages), folded, join_turns(folded)]
        if has_system and not self._takes_system:
            forms = forms[2:]
        failure = None
        for form in forms:
            try:
                apart = self._has_controls(form)
                ids = self._write_apart(form) if apart else list(self._apply(form, True))
            except ModelError:
                raise
            except Exception as error:  # a template raises whatever it likes
                failure = error
                continue
            if ids and has_system and form[0]["role"] != "system":
                self._remark(NO_SYSTEM)
            return ids
        assert failure is not None
        raise _describe(failure) from failure

    @cached_property
    def _controls(self) -> dict[str, bool]:
        """The names of control tokens, as somebody could type them, and whether the tokenizer
        calls them special; some do not call those special that their template writes.
        """
        with suppress(AttributeError):  # a tokenizer of somebody's own may have none
            added = self._tokenizer.added_tokens_decoder.values()
            written = str(self._tokenizer.chat_template)
            return {str(t): t.special for t in added if t.special or str(t) in written}
        return {}

    def _has_controls(self, messages: Messages) -> bool:
        return any(name in m["content"] for m in messages for name in self._controls)

    def _write_apart(self, messages: list[dict[str, str]]) -> list[int]:
        """The token ids of a conversation in which somebody has typed a control token's name.

        The template writes marks in place of what was said; only what is around them is read
        with control tokens.
        """
        marks = [secrets.token_hex(8) for _ in messages]
        marked = [m | {"content": mark} for m, mark in zip(messages, marks, strict=True)]
        said = {mark: m["content"] for m, mark in zip(messages, marks, strict=True)}
        pieces = re.split(f"({'|'.join(marks)})", self._apply(marked, tokenize=False))
        return [
            token
            for piece in pieces
            for token in (
                self._encode_typed(said[piece])
                if piece in said
                else self._tokenizer.encode(piece, add_special_tokens=False)
            )
        ]

    def _encode_typed(self, text: str) -> list[int]:
        """Its token ids without control tokens: names that the tokenizer would take for one all
        the same are cut behind their first character.
        """
        cut = secrets.token_hex(8)
        for name in (name for name, is_special in self._controls.items() if not is_special):
            text = text.replace(name, name[:1] + cut + name[1:])
        return [
            token
            for piece in text.split(cut)
            for token in self._tokenizer.encode(
                piece, add_special_tokens=False, split_special_tokens=True
            )
        ]

    @cached_property
    def _takes_system(self) -> bool:
        """Whether a system message is among what the template writes: some refuse it, some drop
        it without a word.
        """
        mark = secrets.token_hex(8)
        probe = [{"role": "system", "content": mark}, {"role": "user", "content": "a"}]
        try:
            return mark in self._apply(probe, tokenize=False)
        except ModelError:
            raise
        except Exception:  # said where it fails without a system message, too
            return False

    @cached_property
    def _takes_parts(self) -> bool:
        """Whether the template wants a text as a list of parts, as models that also see do:
        given the bare text, it drops it without a word.
        """
        mark = secrets.token_hex(8)
        parts = [{"type": "text", "text": mark}]
        try:
            written = self._write([{"role": "user", "content": mark}], tokenize=False)
        except Exception:  # said where the conversation itself is written
            return False
        if not isinstance(written, str) or mark in written.lower():
            return False
        with suppress(Exception):  # a template of texts stumbles over parts
            if mark in self._write([{"role": "user", "content": parts}], False).lower():
                return True
        raise ModelError(
            "its chat template drops the question, expected one that writes what the user "
            "says. The template is in tokenizer_config.json or chat_template.jinja of the "
            "model's folder"
        )

    def _apply(self, messages: list[dict[str, str]], tokenize: bool) -> Any:
        if not self._takes_parts:
            return self._write(messages, tokenize)
        parted = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]
        return self._write(parted, tokenize)

    def _write(self, messages: list[dict[str, Any]], tokenize: bool) -> Any:
        return self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=tokenize
        )


def write_plainly(messages: Messages) -> str:
    """A single message as it stands; more of them as paragraphs, where an answer is due.

    >>> write_plainly([{"role": "user", "content": "Who?"}])
    'Who?'
    >>> write_plainly(
    ...     [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Who?"}]
    ... )
    'System: Be kind.\\n\\nUser: Who?\\n\\nAssistant:'
    """
    if len(messages) == 1:
        return messages[0]["content"]
    paragraphs = [f"{m['role'].capitalize()}: {m['content']}" for m in messages]
    return "\n\n".join([*paragraphs, "Assistant:"])


def fold_system(messages: Messages) -> list[dict[str, str]]:
    """The conversation without system messages: their text in front of the first question.

    >>> fold_system(
    ...     [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Who?"}]
    ... )
    [{'role': 'user', 'content': 'Be kind.\\n\\nWho?'}]
    """
    texts = [message["content"] for message in messages if message["role"] == "system"]
    rest = [dict(message) for message in messages if message["role"] != "system"]
    if not texts:
        return rest
    if not rest or rest[0]["role"] != "user":
        return [{"role": "user", "content": "\n\n".join(texts)}, *rest]
    rest[0]["content"] = "\n\n".join([*texts, rest[0]["content"]])
    return rest


def join_turns(messages: Messages) -> list[dict[str, str]]:
    """The conversation with neighbours of one role in one turn: some templates want roles that
    alternate.

    >>> join_turns([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])
    [{'role': 'user', 'content': 'a\\n\\nb'}]
    """
    joined: list[dict[str, str]] = []
    for message in messages:
        if joined and joined[-1]["role"] == message["role"]:
            joined[-1]["content"] += "\n\n" + message["content"]
        else:
            joined.append(dict(message))
    return joined


def _describe(error: Exception) -> ModelError:
    words = " ".join(str(error).split()) or type(error).__name__
    return ModelError(
        f"its chat template cannot write the conversation ({words[:300]}), expected one for "
        "messages of user and assistant in turn. The template is in tokenizer_config.json or "
        "chat_template.jinja of the model's folder"
    )
