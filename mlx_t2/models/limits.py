"""How far a network's tables reach: MLX checks no index, and what lies past the end of a table
is read without a word.

Which table is asked for positions is found by watching: where one token is read twice, a table
of tokens is asked for the same row twice, a table of positions for two neighbours. Knows tables
and token ids; knows no text.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from mlx_t2.errors import ConfigError, ModelError

from .svf_model import SVFModel

_TABLES = (nn.Embedding, nn.QuantizedEmbedding)


@dataclass(frozen=True)
class Limits:
    """What a network can be asked for; None where there is no limit."""

    vocabulary: int | None
    """Rows of the embedding: token ids are below it."""
    positions: int | None
    """Tokens of a prompt and its answer that a learned table has positions for."""
    trained: int | None
    """Tokens that a network without such a table was made for, as its settings say."""


def check_tokens(
    model: SVFModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]] = ()
) -> None:
    """Raise ConfigError for a prompt without tokens; ModelError for a token that the embedding
    has no row for, or more tokens than there are positions.

    answers: what is read after any of the prompts, all but its last token.
    """
    limits = model.once(find_limits)
    longest = max(prompts, key=len, default=())
    if not all(prompts):
        raise ConfigError("prompt: got no tokens, expected at least one")
    count = len(longest) + max(map(len, answers), default=1) - 1
    if limits.positions is not None and count > limits.positions:
        raise ModelError(
            f"{model.name}: got {count} tokens to read, expected at most {limits.positions}, "
            "which it has positions for. Shorten the prompt, or choose a model of a longer "
            "context"
        )
    if limits.trained is not None and count > limits.trained:
        model.remark(
            f"{count} tokens are read, and it was made for {limits.trained} "
            "(max_position_embeddings): what it says may be poor"
        )
    if limits.vocabulary is not None:
        for ids in (*prompts, *answers):
            _check_ids(model, ids, limits.vocabulary)


def _check_ids(model: SVFModel, ids: Sequence[int], vocabulary: int) -> None:
    wrong = max(ids, default=0) if min(ids, default=0) >= 0 else min(ids)
    if not 0 <= wrong < vocabulary:
        raise ModelError(
            f"{model.name}: got token {wrong}, expected 0 to {vocabulary - 1}, which its "
            "embedding has rows for. Does the tokenizer belong to these weights?"
        )


def fit_answer(model: SVFModel, prompt: Sequence[int], max_tokens: int) -> int:
    """`max_tokens`, or as many as there are positions for after this prompt."""
    positions = model.once(find_limits).positions
    if positions is None or len(prompt) + max_tokens - 1 <= positions:
        return max_tokens
    room = positions - len(prompt) + 1  # the last token is written, and never read
    model.remark(
        f"it has {positions} positions: after a prompt of {len(prompt)} tokens an answer ends "
        f"at {room}, not at {max_tokens}"
    )
    return room


def check_conversations(
    model: SVFModel, conversations: Sequence[Sequence[dict[str, str]]]
) -> None:
    """Raise what answering them would raise, before any work: the first is encoded, and all of
    them where a table of positions limits them.
    """
    every = model.once(find_limits).positions is not None
    chosen = conversations if every else conversations[:1]
    check_tokens(model, [model.encode(messages) for messages in chosen])


# Finding them


def find_limits(model: SVFModel) -> Limits:
    """The limits of the model's tables. A table of positions is made safe on the way: asked for
    a row past its end, it gives its last, as for rows of a batch that have ended.
    """
    tables: dict[str, Any] = {
        path: module
        for path, module in model.network.named_modules()
        if isinstance(module, _TABLES)
    }
    rows = {path: table.weight.shape[0] for path, table in tables.items()}
    asked = _watch(model.network, tables) if len(tables) > 1 else {p: [1, 1] for p in tables}
    of_tokens = [rows[path] for path, (first, second) in asked.items() if first == second == 1]
    of_positions = {p: one for p, one in asked.items() if one[1] == one[0] + 1}
    for path in of_positions:
        _bound(tables[path], rows[path])
    positions = min((rows[p] - one[0] for p, one in of_positions.items()), default=None)
    return Limits(
        vocabulary=min(of_tokens, default=None),
        positions=positions,
        trained=_made_for(model.network) if positions is None else None,
    )


def _watch(network: Any, tables: dict[str, Any]) -> dict[str, list[int]]:
    """{path of a table: the first two rows that it is asked for where token 1 is read twice}.
    Nothing else is computed.
    """
    asked: dict[str, list[int]] = {}
    with _watching(tables, asked), suppress(Exception):  # of an architecture: limits it lacks
        network(mx.array([[1, 1]]))
    return {path: rows for path, rows in asked.items() if len(rows) == 2}


@contextmanager
def _watching(tables: dict[str, Any], asked: dict[str, list[int]]) -> Iterator[None]:
    """Inside the block every table notes what it is asked for."""

    def watch(path: str, base: Any) -> type:
        class Watched(base):
            def __call__(self, x: mx.array) -> mx.array:
                rows: Any = x.reshape(-1)[:3].tolist()
                asked.setdefault(path, rows)
                return super().__call__(x)

        return Watched

    before = {path: type(table) for path, table in tables.items()}
    try:
        for path, table in tables.items():
            object.__setattr__(table, "__class__", watch(path, before[path]))
        yield
    finally:
        for path, table in tables.items():
            object.__setattr__(table, "__class__", before[path])


def _bound(table: Any, rows: int) -> None:
    base: Any = type(table)

    class Bounded(base):
        """A table that gives its last row where it is asked for one past its end."""

        def __call__(self, x: mx.array) -> mx.array:
            return super().__call__(mx.minimum(x, rows - 1))

    object.__setattr__(table, "__class__", Bounded)


def _made_for(network: Any) -> int | None:
    """Its settings' max_position_embeddings, stretched as they say."""
    args = getattr(network, "args", None)
    count = getattr(args, "max_position_embeddings", None)
    if not isinstance(count, int) or count < 1:
        return None
    scaling = getattr(args, "rope_scaling", None)
    scaling = scaling if isinstance(scaling, dict) else {}
    original, factor = scaling.get("original_max_position_embeddings"), scaling.get("factor")
    if isinstance(original, int | float) and isinstance(factor, int | float):
        count = max(count, int(original * factor))
    return count
