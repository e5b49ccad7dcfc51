"""A run's folder: settings, logs, checkpoints, the expert. Knows files; knows no models."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlx_t2.errors import CheckpointError
from mlx_t2.experts import Expert
from mlx_t2.files import (
    Lock,
    append_line,
    check_folder,
    file_errors,
    find_kind,
    parse_line,
    read_lines,
    set_aside,
    split_lines,
    write_whole,
)

from .checkpoint import State, generations, newest_state, save_state
from .config import MAY_CHANGE

_METRICS, _SAMPLES = "metrics.jsonl", "samples.jsonl"
_DRAWN = ("step", "reward", "base_validation", "change", "commonest_share", "groups")
"""Numbers that a line of metrics.jsonl has to have."""


class RunFolder:
    """config.json, metrics.jsonl, samples.jsonl, checkpoint/, expert.safetensors.

    One process at a time: it holds a lock on `.lock` from `open` or `hold` to the end of the
    `with` block. Writing raises FileError where the disk does not take it.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = Lock(path / ".lock")

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def open(self, settings: dict[str, Any]) -> list[str]:
        """Make the folder and hold it; notes, see `hold`. Raises: CheckpointError where a run
        is in it.
        """
        self.check_free()
        with file_errors(self.path):
            (self.path / "checkpoint").mkdir(parents=True, exist_ok=True)
        notes = self.hold()
        self.check_free()  # another one may have begun and ended since
        self.write_settings(settings)
        return notes

    def hold(self) -> list[str]:
        """Keep other processes out until the end; a note where the file system cannot do that.

        Raises: CheckpointError where another process trains in it.
        """
        try:
            is_held = self._lock.take()
        except BlockingIOError as error:
            raise self._in_use() from error
        return [] if is_held else [f"{self.path}: no locks here, so start one run at a time"]

    def check_idle(self) -> None:
        """Raise CheckpointError where another process trains in it."""
        if not self._lock.is_free():
            raise self._in_use()

    def _in_use(self) -> CheckpointError:
        return CheckpointError(
            f"{self.path}: {self._lock.holder()} is training in it. Wait for it, stop it, or "
            "name another folder (--out)"
        )

    def check_free(self) -> None:
        """Raise CheckpointError where a run is in it, or what is left of one; FileError where
        no run can be put there.
        """
        check_folder(self.path)
        self.check_idle()
        logs = (self.path / name for name in ("config.json", _METRICS, _SAMPLES))
        if any(map(find_kind, logs)) or self.has_checkpoint():
            raise CheckpointError(
                f"{self.path}: holds a run already; resume it (--resume) or name another "
                "folder (--out)"
            )

    def write_settings(self, settings: dict[str, Any]) -> None:
        """Replace config.json."""
        write_whole(self.path / "config.json", json.dumps(settings, indent=2) + "\n")

    def read_same(self, settings: dict[str, Any]) -> dict[str, Any]:
        """What config.json has. Raises CheckpointError where the run was made with other
        settings.

        The same model may be called otherwise: its fingerprint decides.
        """
        stored = self._read_settings()
        free = (*MAY_CHANGE, "model")
        changed = [k for k, v in settings.items() if stored.get(k) != v and k not in free]
        if "fingerprint" in changed:
            raise CheckpointError(
                f"{self.path}: the run trains {stored.get('model')!r}, got "
                f"{settings['model']!r}, whose weights are others. Name its model (--model), "
                "or another folder (--out)"
            )
        if changed:
            got = ", ".join(f"{k}={settings[k]!r} (it has {stored.get(k)!r})" for k in changed)
            raise CheckpointError(
                f"{self.path}: a run with another {', '.join(changed)}: got {got}. Go on with "
                "what its config.json has, or name another folder (--out)"
            )
        return stored

    def _read_settings(self) -> dict[str, Any]:
        path = self.path / "config.json"
        lines = split_lines(path)
        if not lines:
            raise CheckpointError(f"{self.path}: no checkpoint to resume from, nor config.json")
        stored = parse_line(b"\n".join(lines))
        if stored is None:
            raise CheckpointError(
                f"{path}: damaged, expected the settings of a run. Mend it, or begin another "
                "run (--out)"
            )
        return stored

    def has_checkpoint(self) -> bool:
        """Whether a step was ever finished."""
        return bool(generations(self.path / "checkpoint"))

    def newest(self) -> tuple[State, list[str]]:
        """The state to go on from, and what is wrong with newer ones.

        Raises: CheckpointError where no checkpoint is whole.
        """
        return newest_state(self.path / "checkpoint")

    def forget_after(self, step: int) -> list[str]:
        """Take lines of later steps, which will be made again, out of the logs, and whatever
        is not a line of theirs. Nothing is lost: it goes to a copy, which the notes name.
        """
        notes = [_tidy(self.path / name, step) for name in (_METRICS, _SAMPLES)]
        return [note for note in notes if note]

    def record(self, metrics: dict[str, Any], samples: list[dict], state: State) -> None:
        """Log lines first, then the checkpoint: what is logged after the last checkpoint is set
        aside on resume.
        """
        append_line(self.path / _METRICS, metrics)
        for line in samples:
            append_line(self.path / _SAMPLES, line)
        save_state(self.path / "checkpoint", state)

    def save_expert(self, expert: Expert) -> None:
        """Replace expert.safetensors."""
        expert.save(self.path / "expert.safetensors")


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """The steps that metrics.jsonl has whole, in order; of a step that is there twice, the last
    line.
    """
    entries = read_lines(out / _METRICS)
    by_step = {entry["step"]: entry for entry in entries if _is_whole(entry)}
    return [by_step[step] for step in sorted(by_step)]


def _is_whole(entry: dict[str, Any]) -> bool:
    optional = (entry.get(name) for name in ("kl", "validation"))
    return (
        _step_of(entry) is not None
        and all(_is_number(entry.get(name)) for name in (*_DRAWN, "signal_groups"))
        and all(value is None or _is_number(value) for value in optional)
        and entry["groups"] > 0
    )


def _is_sample(entry: dict[str, Any]) -> bool:
    return isinstance(entry.get("completions"), list)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _step_of(entry: dict[str, Any]) -> int | None:
    step = entry.get("step")
    return step if type(step) is int and step > 0 else None


def _tidy(path: Path, last: int) -> str | None:
    """Leave the lines of the steps up to `last` in a log, byte for byte; what was done, if
    anything was.
    """
    lines = split_lines(path)
    is_single = path.name == _METRICS
    is_own = _is_whole if is_single else _is_sample
    entries = [entry if entry and is_own(entry) else {} for entry in map(parse_line, lines)]
    steps = [step if (step := _step_of(entry)) and step <= last else None for entry in entries]
    stays = _current(steps, is_single)
    aside = [line for line, is_in in zip(lines, stays, strict=True) if not is_in]
    copy = set_aside(path, aside) if aside else None
    kept = b"".join(x + b"\n" for x, is_in in zip(lines, stays, strict=True) if is_in)
    if find_kind(path) and kept != path.read_bytes():
        write_whole(path, kept)
    return copy and (
        f"{path}: what is torn, foreign, or of steps that are made again is in {copy.name} "
        f"({len(aside)} of {len(lines)} lines)"
    )


def _current(steps: Sequence[int | None], is_single: bool) -> list[bool]:
    """Which lines are of the last time that their step was made; lines without a step are not.

    is_single: a step has one line; else its lines follow one another.
    """
    block, blocks, last, before = 0, [], {}, None
    for step in steps:
        if step is not None:
            block += is_single or step != before
            last[step], before = block, step
        blocks.append(block)
    return [
        step is not None and last[step] == block
        for step, block in zip(steps, blocks, strict=True)
    ]
