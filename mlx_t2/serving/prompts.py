"""Prompts read piece by piece, so that others are decoded in between; the first pass among it.

Each is a generator that reads one piece at a time and says how many tokens that was, and how
many are left. Knows orders, caches and strategies; draws nothing.
"""

import time
from collections.abc import Callable, Generator, Sequence
from threading import Lock

import mlx.core as mx

from mlx_t2.adaptation import Chosen
from mlx_t2.generation import choose_messages
from mlx_t2.models import SVFModel, check_tokens, find_limits
from mlx_t2.reading import BasePrompt, Begun, PromptCache, score_tokens
from mlx_t2.routing import Conversation
from mlx_t2.sampling import Row
from mlx_t2.svf import BASE

from .order import TokenScore
from .schedule import Read
from .table import BASE_KEY, PLAIN, Worn
from .ticket import ReadPrompt, Ticket
from .token_text import TokenTexts

Pieces = Generator[Read, None, ReadPrompt]
_SCORES = 1 << 24
"""The most scores that a piece of an echoed prompt has, one per entry of the vocabulary."""


class PromptReader:
    """Reads the prompts of orders, each under what the order wears."""

    def __init__(
        self,
        model: SVFModel,
        cache: PromptCache,
        texts: TokenTexts,
        chunk: Callable[[], int],
        check_size: Callable[[Ticket], None],
        lock: Lock,
    ):
        """chunk: how many tokens the next piece may have.
        check_size: raises for a prompt that does not fit, and fits the answer to it.
        lock: held while the tokenizer is used.
        """
        self._model, self._cache, self._texts = model, cache, texts
        self._chunk, self._check_size, self._lock = chunk, check_size, lock

    def count_unread(self, ticket: Ticket) -> int:
        """Tokens of the prompt that no cache holds, as it is now."""
        wanted = ticket.wanted
        key = wanted.key if isinstance(wanted, Worn) else BASE_KEY
        return len(ticket.prompt) - self._cache.count(key, ticket.prompt)

    def read(self, ticket: Ticket) -> Pieces:
        """Read the order's prompt, and find out before what it is answered with."""
        check_tokens(self._model, [ticket.prompt])
        if not isinstance(ticket.wanted, Chosen):
            assert ticket.wanted is not None
            return (yield from self._read_under(ticket, ticket.wanted))
        started = time.perf_counter()
        known, read = yield from self._read_base(ticket.prompt)
        left = len(ticket.prompt) - (read.read.count if read.read else 0)
        with self._lock:
            worn = self._decide(ticket, ticket.wanted, read)
            first_pass_ms = (time.perf_counter() - started) * 1000
            prompt = self._choose_prompt(ticket, worn)
        is_read = worn.key == BASE_KEY and prompt == ticket.prompt
        yield left, 0 if is_read else len(prompt)
        if is_read and not ticket.order.is_echoed:
            return ReadPrompt(worn, prompt, list(read.caches), known, first_pass_ms)
        ticket.prompt = prompt
        self._check_size(ticket)
        found = yield from self._read_under(ticket, worn)
        found.first_pass_ms = first_pass_ms
        return found

    def read_again(self, prompt: Sequence[int], row: Row) -> Generator[Read, None, list]:
        """What the caches of a row held that was being decoded: all it knows but its last
        token.
        """
        caches = self._model.new_cache(row.prompt_scales)
        yield from self._extend(prompt[:-1], Begun(caches, 0))
        caches = self._model.own(list(caches), row.scales)
        answer = [*prompt[-1:], *row.tokens][:-1]
        yield from self._extend(answer, Begun(caches, 0))
        return list(caches)

    # The first pass

    def _read_base(self, tokens: list[int]) -> Generator[Read, None, tuple[int, BasePrompt]]:
        """What was known of the conversation, and it under the base, all but a last piece."""
        begun = self._cache.take(BASE_KEY, tokens, BASE)
        known = begun.count
        while len(tokens) - begun.count > (piece := self._chunk()):
            yield (
                self._read_piece(tokens, begun, begun.count + piece),
                len(tokens) - begun.count,
            )
        return known, BasePrompt(self._model, tokens, begun)

    def _decide(self, ticket: Ticket, chosen: Chosen, read: BasePrompt) -> Worn:
        (adapted,) = chosen.adapt([_conversation(ticket, self._model)], [read])
        mx.eval([cache.state for cache in read.caches])  # what lies above the router's blocks
        self._cache.put(BASE_KEY, read.tokens[:-1], read.caches)
        return ticket.table.resolve(adapted, chosen.name)

    def _choose_prompt(self, ticket: Ticket, worn: Worn) -> list[int]:
        order = ticket.order
        if not order.messages:
            return encode_prompt(self._model, ticket, PLAIN)
        messages = choose_messages(worn.adapted, order.messages)
        return ticket.prompt if messages is order.messages else self._model.encode(messages)

    # Reading

    def _read_under(self, ticket: Ticket, worn: Worn) -> Pieces:
        tokens = ticket.prompt
        check_tokens(self._model, [tokens])
        scales = worn.prompt_scales
        if ticket.order.is_echoed and ticket.order.top_logprobs is not None:
            begun = Begun(self._model.new_cache(scales), 0)
            echoed = yield from self._score(tokens, begun, ticket.order.top_logprobs)
        else:
            begun = self._cache.take(worn.key, tokens, scales)
            echoed = [self._texts.describe(one, None) for one in tokens]
        known = begun.count
        yield from self._extend(tokens[:-1], begun)
        self._cache.put(worn.key, tokens[:-1], begun.caches)
        shown = tuple(echoed) if ticket.order.is_echoed else ()
        return ReadPrompt(worn, tokens, list(begun.caches), known, echoed=shown)

    def _extend(self, tokens: Sequence[int], begun: Begun) -> Generator[Read, None, None]:
        """Read the tokens that the caches do not hold yet."""
        while begun.count < len(tokens):
            end = min(begun.count + self._chunk(), len(tokens))
            yield self._read_piece(tokens, begun, end), len(tokens) - end

    def _read_piece(self, tokens: Sequence[int], begun: Begun, end: int) -> int:
        count = end - begun.count
        piece = mx.array([list(tokens[begun.count : end])])
        self._model.extend(piece, begun.caches)
        mx.eval([cache.state for cache in begun.caches])  # so that its time is its own
        begun.count = end
        return count

    def _score(
        self, tokens: Sequence[int], begun: Begun, most: int
    ) -> Generator[Read, None, list[TokenScore]]:
        """The prompt's own tokens with their scores, read at the same time."""
        vocabulary = self._model.once(find_limits).vocabulary or 1 << 17
        found = [self._texts.describe(tokens[0], None)]
        while begun.count < len(tokens) - 1:
            start = begun.count
            piece = max(1, min(self._chunk(), _SCORES // vocabulary))
            end = min(start + piece, len(tokens) - 1)
            logits = self._model.logits_at(
                mx.array([list(tokens[start:end])]), begun.caches, mx.arange(end - start)
            )
            following = tokens[start + 1 : end + 1]
            scores = score_tokens(logits, mx.array(list(following)), most)
            read = scores.read([most] * len(following))
            found += [self._texts.describe(t, s) for t, s in zip(following, read, strict=True)]
            begun.count = end
            yield end - start, len(tokens) - 1 - end
        return found


def encode_prompt(model: SVFModel, ticket: Ticket, wanted: Worn | Chosen) -> list[int]:
    """The tokens of an order's prompt: for `auto`, those that it decides on.

    Raises: ModelError for a conversation that the chat template does not take.
    """
    order = ticket.order
    if isinstance(wanted, Chosen):
        return model.encode(_conversation(ticket, model))
    if order.messages:
        return model.encode(choose_messages(wanted.adapted, order.messages))
    if order.text is None:
        return list(order.tokens)
    bos = model.tokenizer.bos_token
    begins = bool(bos) and order.text.startswith(bos)
    return list(model.tokenizer.encode(order.text, add_special_tokens=not begins))


def _conversation(ticket: Ticket, model: SVFModel) -> Conversation:
    """What an order's strategy looks at: a bare text is a question to it."""
    order = ticket.order
    if order.messages:
        return order.messages
    text = model.decode(order.tokens) if order.text is None else order.text
    return [{"role": "user", "content": text}]
