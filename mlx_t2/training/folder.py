"""A run's folder: settings, logs, checkpoints, the expert. Knows files; knows no models."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from mlx_t2.errors import CheckpointError, ConfigError
from mlx_t2.experts import Expert

from .checkpoint import State, generations, newest_state, save_state
from .config import MAY_CHANGE
from .log import append_line, drop_after, write_atomically


class RunFolder:
    """config.json, metrics.jsonl, samples.jsonl, checkpoint/, expert.safetensors."""

    def __init__(self, path: Path):
        self.path = path

    def open(self, settings: dict[str, Any]) -> None:
        """Make the folder. Raises: ConfigError where a run is in it; CheckpointError where it
        cannot be made.
        """
        self.check_free()
        try:
            (self.path / "checkpoint").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"{self.path}: cannot be made ({error}), expected a writable folder"
            ) from error
        self.write_settings(settings)

    def check_free(self) -> None:
        """Raise ConfigError where a run is in it, or what is left of one."""
        logs = (self.path / name for name in ("config.json", "metrics.jsonl", "samples.jsonl"))
        if self.has_checkpoint or any(path.exists() for path in logs):
            raise ConfigError(
                f"{self.path}: holds a run already; resume it or name another folder"
            )

    def write_settings(self, settings: dict[str, Any]) -> None:
        """Replace config.json."""
        write_atomically(self.path / "config.json", json.dumps(settings, indent=2) + "\n")

    def settings(self) -> dict[str, Any]:
        """What config.json has; nothing where it is absent or damaged."""
        try:
            return json.loads((self.path / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def check_same(self, settings: dict[str, Any]) -> None:
        """Raise CheckpointError where the run was made with others."""
        stored = self.settings()
        if not stored:
            raise CheckpointError(f"{self.path}: no checkpoint to resume from, nor config.json")
        changed = [k for k, v in settings.items() if stored.get(k) != v and k not in MAY_CHANGE]
        if changed:
            raise CheckpointError(
                f"{self.path}: a run with another {', '.join(changed)}, expected what its "
                "config.json has"
            )

    @property
    def has_checkpoint(self) -> bool:
        """Whether a step was ever finished."""
        return bool(generations(self.path / "checkpoint"))

    def newest(self) -> tuple[State, list[str]]:
        """The state to go on from, what is wrong with newer ones; later log lines are dropped.

        Raises: CheckpointError where no checkpoint is whole.
        """
        state, faults = newest_state(self.path / "checkpoint")
        self.forget_after(state.step)
        return state, faults

    def forget_after(self, step: int) -> None:
        """Drop the log lines of later steps: they will be made again."""
        for name in ("metrics.jsonl", "samples.jsonl"):
            drop_after(self.path / name, step)

    def record(self, metrics: dict[str, Any], samples: list[dict], state: State) -> None:
        """Log lines first, then the checkpoint: what comes after the checkpoint is dropped on
        resume.
        """
        append_line(self.path / "metrics.jsonl", metrics)
        for sample in samples:
            append_line(self.path / "samples.jsonl", sample)
        save_state(self.path / "checkpoint", state)

    def save_expert(self, expert: Expert) -> None:
        """Replace expert.safetensors."""
        expert.save(self.path / "expert.safetensors")


def as_entry(report: Any) -> dict[str, Any]:
    """A report as one line of metrics.jsonl: without its sample, which is in samples.jsonl."""
    entry = dataclasses.asdict(report)
    del entry["sample"]
    return entry
