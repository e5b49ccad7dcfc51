"""Events → the JSON objects of OpenAI's API, with every null that it requires.

A choice is one completion of one prompt. As a stream it is an opening (for chat, the role), any
number of chunks, and exactly one terminal chunk that has a finish reason and nothing else.
Knows no sockets and no order of events.
"""

import codecs
import math
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Protocol, runtime_checkable

from .order import ServedRoute, Started, Tags, TokenScore
from .thinking import ThinkSplit

Json = dict[str, Any]
_UNLIKELY = -9999.0
"""The API's number for a token of no probability: JSON has no infinity."""


@runtime_checkable
class Choice(Protocol):
    """How one completion is written down."""

    def open(self) -> Json | None:
        """The choice of the first chunk, before anything is known; None where there is none."""
        ...

    def read(self, started: Started) -> Json | None:
        """The choice of the chunk that says what the prompt was; None where there is none."""
        ...

    def add(
        self, text: str, scores: Sequence[TokenScore], is_last: bool = False
    ) -> Json | None:
        """The choice of a chunk in the middle; None where there is nothing to say yet.

        is_last: the terminal chunk follows.
        """
        ...

    def end(self, finish_reason: str) -> Json:
        """The choice of the terminal chunk."""
        ...

    def whole(self, text: str, scores: Sequence[TokenScore], finish_reason: str) -> Json:
        """The choice of an answer that is not streamed."""
        ...


@runtime_checkable
class Shape(Protocol):
    """How one endpoint writes its answers down."""

    @property
    def prefix(self) -> str:
        """What ids begin with."""
        ...

    @property
    def kind(self) -> str:
        """`object` of a whole answer."""
        ...

    @property
    def chunk_kind(self) -> str: ...

    def begin(self, index: int, prompt: int) -> Choice:
        """The choice of that number.

        prompt: which of the request's prompts it completes.
        """
        ...


class ChatShape:
    """Chat completions."""

    prefix, kind, chunk_kind = "chatcmpl-", "chat.completion", "chat.completion.chunk"

    def __init__(self, has_scores: bool, splits_thoughts: bool = True):
        self._has_scores = has_scores
        self._splits_thoughts = splits_thoughts

    def begin(self, index: int, prompt: int) -> Choice:
        """A message."""
        return _Message(index, self._has_scores, self._splits_thoughts)


class _Message:
    """One completion of a conversation. What the model thinks before it answers is a field that
    OpenAI's API does not have, as DeepSeek's names it: `reasoning_content`.
    """

    def __init__(self, index: int, has_scores: bool, splits_thoughts: bool):
        self._index = index
        self._has_scores = has_scores
        self._splits_thoughts = splits_thoughts
        self._tags: Tags | None = None
        self._split = ThinkSplit(None)

    def open(self) -> Json:
        return self._delta({"role": "assistant", "content": ""}, None)

    def read(self, started: Started) -> None:
        self._tags = started.tags if self._splits_thoughts else None
        self._split = ThinkSplit(self._tags)

    def add(
        self, text: str, scores: Sequence[TokenScore], is_last: bool = False
    ) -> Json | None:
        thought, said = self._split.feed(text, is_last)
        if not thought and not said and not scores:
            return None
        thoughts = {"reasoning_content": thought} if thought else {}
        content = {} if thought and not said else {"content": said}
        return self._delta(thoughts | content, self._write_scores(scores))

    def end(self, finish_reason: str) -> Json:
        return self._delta({}, None, finish_reason)

    def _delta(
        self, delta: Json, scores: Json | None, finish_reason: str | None = None
    ) -> Json:
        return {
            "index": self._index,
            "delta": delta,
            "logprobs": scores,
            "finish_reason": finish_reason,
        }

    def whole(self, text: str, scores: Sequence[TokenScore], finish_reason: str) -> Json:
        thought, said = ThinkSplit(self._tags).feed(text, is_last=True)
        return {
            "index": self._index,
            "message": {
                "role": "assistant",
                "content": said,
                **({"reasoning_content": thought} if thought else {}),
                "refusal": None,
                "annotations": [],
            },
            "logprobs": self._write_scores(scores),
            "finish_reason": finish_reason,
        }

    def _write_scores(self, scores: Sequence[TokenScore]) -> Json | None:
        if not self._has_scores:
            return None
        return {"content": [_describe_token(score) for score in scores], "refusal": None}


def _describe_token(score: TokenScore) -> Json:
    top = [_describe_option(*option) for option in score.top]
    chosen = _describe_option(score.text, score.raw, score.logprob or 0.0)
    return chosen | {"top_logprobs": top}


def _describe_option(text: str, raw: bytes, logprob: float) -> Json:
    return {"token": text, "logprob": _finite(logprob), "bytes": list(raw)}


def _finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else _UNLIKELY


class TextShape:
    """Text completions."""

    prefix, kind, chunk_kind = "cmpl-", "text_completion", "text_completion"

    def __init__(self, has_scores: bool, echoes: Sequence[str | None] | None):
        """echoes: for each prompt its text, or None where it is what its tokens say; None
        where prompts are not echoed.
        """
        self._has_scores = has_scores
        self._echoes = echoes

    def begin(self, index: int, prompt: int) -> Choice:
        """A text, behind its prompt where that is echoed."""
        is_echoed = self._echoes is not None
        return _Text(
            index, self._has_scores, is_echoed, self._echoes[prompt] if self._echoes else None
        )


class _Text:
    """One completion of a text."""

    def __init__(self, index: int, has_scores: bool, is_echoed: bool, echo: str | None):
        self._index = index
        self._has_scores = has_scores
        self._is_echoed, self._echo = is_echoed, echo
        self._echoed: Sequence[TokenScore] = ()
        self._parts: Sequence[bytes] = ()
        self._restart()

    def _restart(self) -> None:
        self._offset = 0
        self._ahead = deque(self._parts)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def open(self) -> None:
        return None

    def read(self, started: Started) -> Json | None:
        if not self._is_echoed:
            return None
        self._echoed = started.echoed
        self._parts = [score.raw for score in started.echoed]
        if self._echo is None:
            self._echo = b"".join(self._parts).decode("utf-8", "replace")
        else:
            self._parts = align_tokens(self._echo.encode(), self._parts)
        self._restart()
        return self._write(self._echo, self._echoed, None)

    def add(
        self, text: str, scores: Sequence[TokenScore], is_last: bool = False
    ) -> Json | None:
        return self._write(text, scores, None) if text or scores else None

    def end(self, finish_reason: str) -> Json:
        return self._write("", (), finish_reason)

    def whole(self, text: str, scores: Sequence[TokenScore], finish_reason: str) -> Json:
        self._restart()
        before = self._echo or ""
        return self._write(before + text, [*self._echoed, *scores], finish_reason)

    def _write(
        self, text: str, scores: Sequence[TokenScore], finish_reason: str | None
    ) -> Json:
        is_end = finish_reason is not None and not text and not scores
        return {
            "index": self._index,
            "text": text,
            "logprobs": None if is_end or not self._has_scores else self._list(scores),
            "finish_reason": finish_reason,
        }

    def _list(self, scores: Sequence[TokenScore]) -> Json:
        """Four lists as long as the tokens. Offsets are characters from where the choice's
        text begins.
        """
        offsets = []
        for score in scores:
            offsets.append(self._offset)
            raw = self._ahead.popleft() if self._ahead else score.raw
            self._offset += len(self._decode(raw))
        return {
            "tokens": [_name(score.text, score.raw) for score in scores],
            "token_logprobs": [
                None if score.logprob is None else _finite(score.logprob) for score in scores
            ],
            "top_logprobs": [_list_options(score) for score in scores],
            "text_offset": offsets,
        }


def align_tokens(text: bytes, tokens: Sequence[bytes]) -> list[bytes]:
    """What each token stands for in the text; nothing for a beginning, a space in front and an
    end that the tokenizer adds. The tokens themselves where they do not spell the text.

    >>> align_tokens(b"hello", [b"<s>", b" hel", b"lo", b"</s>"])
    [b'', b'hel', b'lo', b'']
    """
    for added in (0, 1):
        spelled = b"".join(tokens[added:])
        for space in (b"", b" "):
            if spelled.startswith(space + text):
                start, end = len(space), len(space) + len(text)
                ends = list(accumulate(map(len, tokens[added:]), initial=0))
                spans = pairwise(ends)
                found = [spelled[max(start, a) : max(start, min(end, b))] for a, b in spans]
                return [b""] * added + found
    return list(tokens)


def _list_options(score: TokenScore) -> dict[str, float] | None:
    """The most probable tokens, and the token itself where it is not among them."""
    if score.logprob is None:
        return None
    options = [*score.top, (score.text, score.raw, score.logprob)]
    found: dict[str, float] = {}
    for text, raw, logprob in options:
        found.setdefault(_name(text, raw), _finite(logprob))
    return found


def _name(text: str, raw: bytes) -> str:
    """A token as a key: part of a character has bytes, and no text that tells it from others.

    >>> _name("\\ufffd", b"\\xe2\\x82"), _name(" a", b" a")
    ('bytes:\\\\xe2\\\\x82', ' a')
    """
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
    return text


def describe_route(route: ServedRoute) -> Json:
    """The keys that `t2 generate --json` has, too."""
    confidence = route.confidence
    return {
        "strategy": route.strategy,
        "weights": dict(route.coefficients),
        "label": route.label,
        "confidence": None if confidence is None else round(confidence, 4),
        "first_pass_ms": round(route.first_pass_ms, 3),
    }


def count_usage(started: Sequence[Started], drawn: int) -> Json:
    """The tokens of a whole request: each prompt once, all of its completions."""
    prompt = sum(one.prompt_tokens for one in started)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": drawn,
        "total_tokens": prompt + drawn,
        "prompt_tokens_details": {"cached_tokens": sum(one.cached_tokens for one in started)},
    }
