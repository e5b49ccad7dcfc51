"""Flags, a settings file and a run folder → TrainConfig. Knows files; knows no command line."""

import dataclasses
import json
import reprlib
from pathlib import Path
from typing import Any, get_args

import yaml

from mlx_t2.errors import CheckpointError, ConfigError
from mlx_t2.tasks import Task

from .config import MAY_CHANGE, PRESETS, TrainConfig, setting_types
from .ranks import Ranks
from .run_folder import RunFolder

_ALLOWED: dict[str, tuple[Any, ...]] = {  # the types of a setting, or the words that it may be
    name: get_args(kind) or (kind,) for name, kind in setting_types().items()
}
_WORDS: dict[Any, str] = {
    int: "int",
    float: "float",
    bool: "bool",
    str: "str",
    type(None): "nothing",
}


def read_config(
    flags: dict[str, Any],
    file: Path | None = None,
    resumed: Path | None = None,
    task: Task | None = None,
    preferred: dict[str, Any] | None = None,
) -> TrainConfig:
    """The settings of a training: flags win over a YAML or JSON file, which wins over what the
    mode presets, which wins over the defaults.

    resumed: a run folder to go on with; its settings hold, and flags and file may only repeat
        them, but for memory_gb, rows, steps and patience.
    task: where it has fewer held-out problems than the defaults ask for, all it has.
    preferred: in place of defaults, where nothing else says otherwise.
    Under `mlx.launch` the first machine's settings hold for all.
    Raises: ConfigError for what is unknown, malformed or out of range; CheckpointError for a
    folder without a run, or one that another process trains in.
    """
    return TrainConfig(
        **Ranks().from_first(_choose, flags, file, resumed, task, preferred or {})
    )


def _choose(
    flags: dict[str, Any],
    file: Path | None,
    resumed: Path | None,
    task: Task | None,
    preferred: dict[str, Any],
) -> dict[str, Any]:
    settings = (_read(file) if file else {}) | flags
    _check(settings, str(file or "flags"))
    if resumed is not None:
        return dataclasses.asdict(_resume(resumed, settings))
    held_out = _fit_held_out(task) if task is not None else {}
    preset = PRESETS.get(settings.get("mode", ""), {})
    config = TrainConfig(**preferred | preset | held_out | settings)
    return dataclasses.asdict(config)


def _fit_held_out(task: Task) -> dict[str, Any]:
    """The defaults of how many held-out problems are answered, as far as the task has them."""
    defaults = {"validation": TrainConfig.validation, "test": TrainConfig.test}
    return {split: task.available(split, n) for split, n in defaults.items()}


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no config.json"
    if isinstance(error, KeyError):
        return f"config.json lacks {error.args[0]}"
    return str(getattr(error, "strerror", None) or error)


def _resume(folder: Path, flags: dict[str, Any]) -> TrainConfig:
    try:
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        settings = {name: stored[name] for name in _ALLOWED}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{folder}: no run to resume from ({_why(error)}). Mend config.json, or begin a "
            "run in another folder (--out)"
        ) from error
    _check(settings, str(folder / "config.json"))
    changed = [name for name in flags if settings[name] != flags[name]]
    changed = [name for name in changed if name not in MAY_CHANGE]
    if changed:
        got = ", ".join(
            f"{name}={flags[name]!r} (it has {settings[name]!r})" for name in changed
        )
        raise ConfigError(
            f"{folder}: got {got}, but a resumed run keeps its settings. Leave out "
            f"{', '.join(changed)}, or begin another run with --out"
        )
    RunFolder(folder).check_idle()
    return TrainConfig(**settings | flags)


def _read(file: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))  # JSON is YAML
    except Exception as error:  # PyYAML raises whatever a value's constructor does
        reason = " ".join(str(error).split())
        raise ConfigError(f"{file}: cannot be read as YAML or JSON ({reason})") from error
    if not isinstance(settings, dict):
        raise ConfigError(
            f"{file}: got {type(settings).__name__}, expected one key per setting"
        )
    # YAML 1.1 takes 1e-3 for text; everybody means the number
    return {k: _number(v) if float in _ALLOWED.get(k, ()) else v for k, v in settings.items()}


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return value


def _check(settings: dict[str, Any], where: str) -> None:
    unknown = [
        key if isinstance(key, str) else reprlib.repr(key)
        for key in settings
        if key not in _ALLOWED
    ]
    if unknown:
        raise ConfigError(
            f"{where}: got {', '.join(unknown)}, expected some of {', '.join(_ALLOWED)}"
        )
    wrong = [
        f"{key}: got {reprlib.repr(value)}, expected {_describe(_ALLOWED[key])}"
        for key, value in settings.items()
        if not _is_one_of(value, _ALLOWED[key])
    ]
    if wrong:
        raise ConfigError(f"{where}: {'; '.join(wrong)}")


def _describe(allowed: tuple[Any, ...]) -> str:
    return " or ".join(_WORDS.get(one, str(one)) for one in allowed)


def _is_one_of(value: Any, allowed: tuple[Any, ...]) -> bool:
    kind = type(value)
    return kind in allowed or value in allowed or (kind is int and float in allowed)
