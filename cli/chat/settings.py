"""What `/set` changes: how answers are drawn, and how they are shown. Knows no terminal."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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


def _of_sampling(name: str, kind: type[int] | type[float], help: str) -> Setting:
    """A field of `SamplingConfig`, by its name with hyphens."""
    field = name.replace("-", "_")

    def put(settings: Settings, text: str) -> Settings:
        change: dict[str, Any] = {field: kind(text)}
        return replace(settings, sampling=replace(settings.sampling, **change))

    return Setting(
        help,
        "a whole number" if kind is int else "a number",
        lambda s: f"{getattr(s.sampling, field):g}",
        put,
    )


def _read_switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError(text)
    return text == "on"


_DRAWN = (
    ("temperature", float, "0 is greedy"),
    (
        "top-p",
        float,
        "draw from the most probable tokens that make up this probability; 1 is all",
    ),
    ("top-k", int, "draw from this many most probable tokens; 0 is all"),
    ("min-p", float, "draw from tokens at least this share as probable as the first; 0 is all"),
    ("repetition-penalty", float, "above 1, what was said becomes less probable"),
    ("max-tokens", int, "longest answer [tokens]"),
    ("seed", int, "same seed, same answers"),
)
SETTINGS = {name: _of_sampling(name, kind, help) for name, kind, help in _DRAWN} | {
    "markdown": Setting(
        "render answers",
        "on or off",
        lambda s: "on" if s.markdown else "off",
        lambda s, text: replace(s, markdown=_read_switch(text)),
    ),
}
"""{name: setting}, in the order of `/set`."""
