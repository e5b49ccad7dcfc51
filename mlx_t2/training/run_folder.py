"""A run's folder: settings, logs, checkpoints, the expert. Knows files; knows no models."""

import json
from pathlib import Path
from typing import Any

from mlx_t2.errors import CheckpointError
from mlx_t2.experts import Expert
from mlx_t2.files import append_line, file_errors, json_line, read_lines, write_whole

from .checkpoint import State, generations, newest_state, save_state
from .config import MAY_CHANGE


class RunFolder:
    """config.json, metrics.jsonl, samples.jsonl, checkpoint/, expert.safetensors.

    Writing raises FileError where the disk does not take it.
    """

    def __init__(self, path: Path):
        self.path = path

    def open(self, settings: dict[str, Any]) -> None:
        """Make the folder. Raises: CheckpointError where a run is in it."""
        self.check_free()
        with file_errors(self.path):
            (self.path / "checkpoint").mkdir(parents=True, exist_ok=True)
        self.write_settings(settings)

    def check_free(self) -> None:
        """Raise CheckpointError where a run is in it, or what is left of one."""
        logs = (self.path / name for name in ("config.json", "metrics.jsonl", "samples.jsonl"))
        if self.has_checkpoint() or any(path.exists() for path in logs):
            raise CheckpointError(
                f"{self.path}: holds a run already; resume it or name another folder"
            )

    def write_settings(self, settings: dict[str, Any]) -> None:
        """Replace config.json."""
        write_whole(self.path / "config.json", json.dumps(settings, indent=2) + "\n")

    def read_same(self, settings: dict[str, Any]) -> dict[str, Any]:
        """What config.json has. Raises CheckpointError where the run was made with other
        settings.
        """
        stored = self._read_settings()
        if not stored:
            raise CheckpointError(f"{self.path}: no checkpoint to resume from, nor config.json")
        changed = [k for k, v in settings.items() if stored.get(k) != v and k not in MAY_CHANGE]
        if changed:
            raise CheckpointError(
                f"{self.path}: a run with another {', '.join(changed)}, expected what its "
                "config.json has"
            )
        return stored

    def _read_settings(self) -> dict[str, Any]:
        """Nothing where config.json is absent or damaged."""
        try:
            return json.loads((self.path / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

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
            kept = [e for e in read_lines(self.path / name) if e["step"] <= step]
            write_whole(self.path / name, "".join(map(json_line, kept)))

    def record(self, metrics: dict[str, Any], samples: list[dict], state: State) -> None:
        """Log lines first, then the checkpoint: what is logged after the last checkpoint is
        dropped on resume.
        """
        append_line(self.path / "metrics.jsonl", metrics)
        for line in samples:
            append_line(self.path / "samples.jsonl", line)
        save_state(self.path / "checkpoint", state)

    def save_expert(self, expert: Expert) -> None:
        """Replace expert.safetensors."""
        expert.save(self.path / "expert.safetensors")
