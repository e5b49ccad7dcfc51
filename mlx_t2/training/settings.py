"""Flags, a settings file and a run folder → TrainConfig. Knows files; knows no command line."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml

from mlx_t2.errors import CheckpointError, ConfigError

from .config import MAY_CHANGE, PRESETS, TrainConfig
from .ranks import Ranks

_TYPES: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(TrainConfig)}


def train_config(
    flags: dict[str, Any], file: Path | None = None, resumed: Path | None = None
) -> TrainConfig:
    """The settings of a training: flags win over a YAML or JSON file, which wins over what the
    mode presets, which wins over the defaults.

    resumed: a run folder to go on with; its settings hold, and flags and file may only repeat
        them, but for memory_gb and rows.
    Under `mlx.launch` the first machine's settings hold for all.
    Raises: ConfigError for what is unknown, malformed or out of range; CheckpointError for a
    folder without a run.
    """
    ranks = Ranks()
    chosen = ranks.together(
        lambda: dataclasses.asdict(_chosen(flags, file, resumed)) if ranks.is_first else {}
    )
    return TrainConfig(**ranks.share(chosen))


def _chosen(flags: dict[str, Any], file: Path | None, resumed: Path | None) -> TrainConfig:
    settings = (_read(file) if file else {}) | flags
    _check(settings, str(file or "flags"))
    if resumed is not None:
        return _resumed(resumed, settings)
    return TrainConfig(**PRESETS.get(settings.get("mode", ""), {}) | settings)


def _resumed(folder: Path, flags: dict[str, Any]) -> TrainConfig:
    try:
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        settings = {name: stored[name] for name in _TYPES}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder}: no run to resume from ({error})") from error
    _check(settings, str(folder / "config.json"))
    changed = [
        f"{k}={v!r} (it has {settings[k]!r})"
        for k, v in flags.items()
        if settings[k] != v and k not in MAY_CHANGE
    ]
    if changed:
        raise ConfigError(
            f"{folder}: got {', '.join(changed)}, but a resumed run keeps its settings"
        )
    return TrainConfig(**settings | flags)


def _read(file: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))  # JSON is YAML
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{file}: cannot be read as YAML or JSON ({reason})") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{file}: got {type(settings).__name__}, expected one key a setting")
    # YAML 1.1 takes 1e-3 for text; everybody means the number
    floats = (float, float | None)
    return {k: _number(v) if _TYPES.get(k) in floats else v for k, v in settings.items()}


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _check(settings: dict[str, Any], where: str) -> None:
    unknown = [str(key) for key in settings if key not in _TYPES]
    if unknown:
        raise ConfigError(
            f"{where}: got {', '.join(unknown)}, expected some of {', '.join(_TYPES)}"
        )
    wrong = [
        f"{key} is {value!r}, expected {_worded(_TYPES[key])}"
        for key, value in settings.items()
        if not _fits(value, _TYPES[key])
    ]
    if wrong:
        raise ConfigError(f"{where}: {'; '.join(wrong)}")


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind | int if kind in (float, float | None) else kind)


def _worded(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)).replace(" | None", " or nothing")
