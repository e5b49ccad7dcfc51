"""What `/set` changes: how answers are drawn, and how they are shown. Knows no terminal."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlx_t2.errors import ConfigError

if TYPE_CHECKING:
    from mlx_t2.sampling import SamplingConfig


@dataclass(frozen=True)
class Settings:
    """How answers are drawn and shown."""

    sampling: "SamplingConfig"
    markdown: bool = False
    """Rendered; else as it was written."""


@dataclass(frozen=True)
class Setting:
    """One line of `/set`."""

    help: str
    expected: str
    get: Callable[[Settings], str]
    put: Callable[[Settings, str], Settings]
    """Raises ValueError for a text that is not of its kind."""


def change_setting(settings: Settings, name: str, text: str) -> Settings:
    """The settings with one of them changed.

    Raises: ConfigError for a name that is unknown, or a value that it cannot have.
    """
    setting = SETTINGS.get(name.replace("_", "-"))
    if setting is None:
        raise ConfigError(f"/set {name}: unknown, expected one of {', '.join(SETTINGS)}")
    try:
        return setting.put(settings, text)
    except ConfigError as error:
        raise ConfigError(f"/set {name}: {str(error).partition(': ')[2]}") from error
    except ValueError as error:
        raise ConfigError(f"/set {name}: got {text!r}, expected {setting.expected}") from error


def _of_sampling(
    help: str,
    kind: type[int] | type[float],
    get: Callable[["SamplingConfig"], float],
    put: Callable[["SamplingConfig", str], "SamplingConfig"],
) -> Setting:
    return Setting(
        help,
        "a whole number" if kind is int else "a number",
        lambda s: f"{get(s.sampling):g}",
        lambda s, text: replace(s, sampling=put(s.sampling, text)),
    )


def _read_switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError(text)
    return text == "on"


SETTINGS = {
    "temperature": _of_sampling(
        "0 is greedy",
        float,
        lambda c: c.temperature,
        lambda c, text: replace(c, temperature=float(text)),
    ),
    "top-p": _of_sampling(
        "draw from the most probable tokens that make up this probability; 1 is all",
        float,
        lambda c: c.top_p,
        lambda c, text: replace(c, top_p=float(text)),
    ),
    "top-k": _of_sampling(
        "draw from this many most probable tokens; 0 is all",
        int,
        lambda c: c.top_k,
        lambda c, text: replace(c, top_k=int(text)),
    ),
    "min-p": _of_sampling(
        "draw from tokens at least this share as probable as the first; 0 is all",
        float,
        lambda c: c.min_p,
        lambda c, text: replace(c, min_p=float(text)),
    ),
    "repetition-penalty": _of_sampling(
        "above 1, what was said becomes less probable",
        float,
        lambda c: c.repetition_penalty,
        lambda c, text: replace(c, repetition_penalty=float(text)),
    ),
    "max-tokens": _of_sampling(
        "longest answer [tokens]",
        int,
        lambda c: c.max_tokens,
        lambda c, text: replace(c, max_tokens=int(text)),
    ),
    "seed": _of_sampling(
        "same seed, same answers",
        int,
        lambda c: c.seed,
        lambda c, text: replace(c, seed=int(text)),
    ),
    "markdown": Setting(
        "render answers",
        "on or off",
        lambda s: "on" if s.markdown else "off",
        lambda s, text: replace(s, markdown=_read_switch(text)),
    ),
}
"""{name: setting}, in the order of `/set`."""
