"""Token ids → the bytes and the text of each. Knows tokenizers; knows no model."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from mlx_t2.reading import Scored

from .order import Tags, TokenScore

_WRITTEN = Tags("<think>", "</think>")
"""What most models write, where the tokenizer has no tokens of its own for it."""
_TAIL = 32
"""Tokens of a prompt that are looked at for the tag that it may end with."""
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class TokenTexts:
    """What one tokenizer's tokens stand for, each by itself."""

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        self._known: dict[int, bytes] = {}

    def raw(self, token: int) -> bytes:
        """The bytes that the token adds to a text; a special token's name."""
        if token not in self._known:
            self._known[token] = self._find(token)
        return self._known[token]

    def show(self, token: int) -> str:
        """Its text, with U+FFFD in place of a part of a character."""
        return self.raw(token).decode("utf-8", "replace")

    def describe(self, token: int, scored: Scored | None) -> TokenScore:
        """The token as whoever asked for scores sees it."""
        if scored is None:
            return TokenScore(token, self.show(token), self.raw(token), None)
        top = tuple((self.show(one), self.raw(one), logprob) for one, logprob in scored.top)
        return TokenScore(token, self.show(token), self.raw(token), scored.logprob, top)

    @cached_property
    def longest(self) -> int:
        """Characters of the longest token at most: of its name, which has one sign or more for
        each. 0 where the tokenizer does not list its tokens.
        """
        list_tokens = getattr(self._tokenizer, "get_vocab", dict)
        return max(map(len, list_tokens()), default=0)

    def find_tags(self, prompt: Sequence[int]) -> Tags | None:
        """How the answer to this prompt tells thoughts from what it says; None where the model
        does not think, or its tags are in no text.
        """
        if self.tags is None:
            return None
        end = self._tokenizer.decode(list(prompt[-_TAIL:]), skip_special_tokens=False)
        return replace(self.tags, is_open=end.rstrip().endswith(self.tags.start))

    @cached_property
    def tags(self) -> Tags | None:
        """What thoughts stand between; None where the model does not think, or its tags are in
        no text.
        """
        known = self._tokenizer
        with suppress(AttributeError):  # a tokenizer that is none of mlx-lm's
            if known.has_thinking:
                ids = [*known.think_start_tokens, *known.think_end_tokens]
                shown = known.decode(ids, skip_special_tokens=True)  # as answers are
                tags = Tags(known.think_start, known.think_end)
                return tags if tags.start in shown and tags.end in shown else None
        template = str(getattr(known, "chat_template", ""))
        return _WRITTEN if _WRITTEN.start in template else None

    def _find(self, token: int) -> bytes:
        name = self._tokenizer.convert_ids_to_tokens(token)
        if not isinstance(name, str):  # a row of the embedding that no token has
            return b""
        if token in self._added:
            return name.encode()
        if self._is_of_bytes and all(sign in _BYTES for sign in name):
            return bytes(_BYTES[sign] for sign in name)
        if match := _BYTE.fullmatch(name):
            return bytes([int(match[1], 16)])
        if "\u2581" in name:
            return name.replace("\u2581", " ").encode()
        return self._tokenizer.decode([token]).encode()

    @cached_property
    def _added(self) -> frozenset[int]:
        """Tokens that are written as they are: the special ones among them."""
        return frozenset(getattr(self._tokenizer, "added_tokens_decoder", ()))

    @cached_property
    def _is_of_bytes(self) -> bool:
        """Whether the names of tokens spell bytes, each as one sign."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is None or backend.decoder is None:
            return False
        decoder: Any = json.loads(backend.decoder.__getstate__())
        parts = [decoder, *decoder.get("decoders", ())]
        return any(part.get("type") == "ByteLevel" for part in parts)


def _spell_bytes() -> dict[str, int]:
    """{sign: byte} of byte-level tokenizers: what prints stands for itself, the other bytes for
    the signs from U+0100 on. Source: openai/gpt-2, encoder.py, bytes_to_unicode.
    """
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printed]
    return {chr(byte): byte for byte in printed} | {
        chr(256 + n): byte for n, byte in enumerate(others)
    }


_BYTES = _spell_bytes()
