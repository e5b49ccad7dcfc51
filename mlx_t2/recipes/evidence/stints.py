"""What has been worked on each job of the evidence: a line per stint, with its command, commit,
machine and seconds, and whether the job was finished by it.

Knows files; does not know what the jobs are.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlx_t2.files import append_line, read_lines

from ..provenance import describe_source

COMMAND = "python -m mlx_t2_cli.recipes evidence --model FOLDER"


def record_stint(runs: Path, key: str, command: str, seconds: float, is_done: bool) -> None:
    """Add a stint to the job's."""
    path = _stints_path(runs, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    measured = {"seconds": round(seconds, 1), "is_finished": is_done}
    append_line(path, describe_source(command) | measured)


def _stints_path(runs: Path, key: str) -> Path:
    """The file of the stints that were worked on the job."""
    return runs / "stints" / f"{key}.jsonl"


def read_stints(runs: Path, key: str) -> Sequence[dict[str, Any]]:
    """The job's stints so far."""
    return read_lines(_stints_path(runs, key))


def is_finished(runs: Path, key: str) -> bool:
    """Whether the job has been done."""
    return any(stint["is_finished"] for stint in read_stints(runs, key))


def state_of(runs: Path, key: str) -> str:
    """finished, begun or open."""
    if is_finished(runs, key):
        return "finished"
    return "begun" if read_stints(runs, key) else "open"
