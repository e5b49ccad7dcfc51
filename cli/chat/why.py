"""What `/why` says: how the weights of an answer were found, and what they change. Prints
nothing.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..choice import is_routed, label_choice
from ..render import sparkline
from .conversation import Turn
from .footer import counting

if TYPE_CHECKING:
    from mlx_t2.svf import Scales

    from .talk import Chat

_BAR = 24
"""Columns of a bar for a probability of 1."""
_MOST = 3
"""Layers that are named."""


def explain_turn(chat: "Chat", turn: Turn) -> list[tuple[str, str]]:
    """Names and values: what was asked for, who decided, the first pass and its probabilities,
    what was worn, and where that changes the model most.
    """
    weights = counting(turn.route.get("weights", {}))
    worn = " + ".join(f"{share:.2f} {name}" for name, share in weights.items())
    return [
        ("asked for", label_choice(turn.worn)),
        *_tell_router(chat, turn),
        *_tell_first_pass(turn),
        ("worn", worn or "the base model"),
        *tell_change(_find_scales(chat, weights)),
    ]


def _tell_router(chat: "Chat", turn: Turn) -> list[tuple[str, str]]:
    """The file that probabilities come from, and what it asks of an expert."""
    from mlx_t2.adaptation import find_router
    from mlx_t2.errors import T2Error
    from mlx_t2.experts import is_bundled, open_library

    if not is_routed(turn.worn) or turn.worn == "cls" or turn.model != chat.name:
        return []
    with suppress(T2Error):
        library = open_library(chat.wardrobe.folder)
        router, path = find_router(chat.model, library, chat.wardrobe.router)
        of = "the bundled one" if is_bundled(path) else str(path)
        return [("router", f"{of}; an expert answers where it is {router.threshold:.3f} sure")]
    return []


def _tell_first_pass(turn: Turn) -> list[tuple[str, str]]:
    """Tokens and time, and the probabilities as bars, the highest first."""
    if not turn.scores:
        return []
    time = f"{turn.route.get('first_pass_ms', 0):.0f} ms"
    if turn.first_pass_tokens:
        time = f"{turn.first_pass_tokens} tokens, {time}"
    ranked = sorted(turn.scores.items(), key=lambda pair: -pair[1])
    bars = [
        (
            " base (other)" if label == "other" else f" {label}",
            f"{p:.3f} {'█' * round(_BAR * p)}{' runner-up' * (rank == 1)}",
        )
        for rank, (label, p) in enumerate(ranked)
    ]
    return [("first pass", time), *bars]


def _find_scales(chat: "Chat", weights: dict[str, float]) -> "Scales":
    """The scales of that mixture; nothing, where an expert is not at hand any more."""
    from mlx_t2.errors import T2Error
    from mlx_t2.experts import mix, open_library

    with suppress(T2Error):
        library = open_library(chat.wardrobe.folder)
        return mix([library.find(name) for name in weights], list(weights.values()))
    return {}


def tell_change(scales: "Scales") -> list[tuple[str, str]]:
    """The largest |z − 1| of each layer as a row of bars, and the layers that have most of it.

    >>> import mlx.core as mx
    >>> tell_change({"model.0.up": mx.array([1.25]), "model.1.up": mx.array([0.5])})
    [('|z − 1| by layer', '▅█ 2 layers, 0.50 at most'), ('most in', '1 up 0.50, 0 up 0.25')]
    """
    from mlx_t2.experts import largest_deviations

    found = largest_deviations(scales)
    if not found:
        return []
    top = max(size for *_, size in found) or 1.0
    bars = sparkline([size / top for *_, size in found])
    most = sorted(found, key=lambda one: -one[2])[:_MOST]
    named = ", ".join(f"{_shorten(layer, matrix)} {size:.2f}" for layer, matrix, size in most)
    count = f"{len(found)} layer{'s' * (len(found) != 1)}"
    return [
        ("|z − 1| by layer", f"{bars} {count}, {most[0][2]:.2f} at most"),
        ("most in", named),
    ]


def _shorten(layer: str, matrix: str) -> str:
    """`model.layers.12` and `mlp.up_proj` → `12 up_proj`."""
    words: Sequence[str] = (layer.rpartition(".")[2], matrix.rpartition(".")[2])
    return " ".join(filter(None, words))
