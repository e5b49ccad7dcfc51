"""What an answer is given under, in one word: `auto`, `off`, an expert, a mixture.

The flags of `generate`, `chat` and what is typed into a chat are read here alike.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .session import ROUTED, open_strategy

if TYPE_CHECKING:
    from mlx_t2.adaptation import Strategy
    from mlx_t2.models import SVFModel

_TERM = re.compile(r"([0-9.]+)\*([^+*]+)")


def name_choice(expert: str | None, mix: str | None, adapt: str | None, otherwise: str) -> str:
    """The word for what the flags ask for."""
    return next((word for word in (expert, mix, adapt) if word is not None), otherwise)


def is_routed(word: str) -> bool:
    """Whether a router's file is read for it."""
    return word in ROUTED


def is_mixture(word: str) -> bool:
    """Whether the word gives coefficients to experts.

    >>> is_mixture("largest=0.6,kind=0.4"), is_mixture("kind"), is_mixture("a=b.safetensors")
    (True, False, False)
    """
    return "=" in word and not _is_file(word)


def _is_file(word: str) -> bool:
    *_, last = word.split(",")
    return last.endswith(".safetensors") or Path(word).is_file()


def label_choice(word: str) -> str:
    """How a prompt shows it.

    >>> label_choice("largest=0.6,kind=0.4"), label_choice("own/best.safetensors")
    ('largest·0.6+kind·0.4', 'best')
    >>> label_choice("0.6*largest + 0.4*kind")
    'largest·0.6+kind·0.4'
    """
    if is_mixture(word):
        from mlx_t2.experts import parse_mix

        terms = parse_mix(word).items()
        return "+".join(f"{Path(name).stem}·{share:g}" for name, share in terms)
    if word == "none":
        return "off"
    if _is_file(word):
        return Path(word).stem
    return _TERM.sub(r"\2·\1", "".join(word.split()))


def open_choice(
    model: "SVFModel",
    word: str,
    folder: Path | None = None,
    allow_transfer: bool = False,
    basis_bits: int | None = None,
    router: Path | None = None,
) -> "Strategy":
    """The strategy of that word, on a model that is made ready for it; what is refused changes
    nothing.

    Raises: T2Error for experts and routers that are unknown or do not fit.
    """
    from mlx_t2.adaptation import ADAPTATIONS

    expert = mix = adapt = None
    if word in ADAPTATIONS:
        adapt = word
    elif is_mixture(word):
        mix = word
    else:
        expert = word
    used = router if is_routed(word) else None
    return open_strategy(model, expert, mix, adapt, folder, allow_transfer, basis_bits, used)
