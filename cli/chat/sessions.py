"""Conversations kept as files, one JSON line per turn, in the data folder. Knows no model."""

from datetime import datetime
from pathlib import Path

from mlx_t2.errors import ConfigError, FileError
from mlx_t2.files import (
    append_line,
    file_errors,
    find_kind,
    json_line,
    parse_line,
    reading_errors,
    split_lines,
    write_whole,
)
from mlx_t2.folders import data_dir

from .conversation import Turn, read_turn


def sessions_dir() -> Path:
    """Where conversations are kept."""
    return data_dir() / "sessions"


def session_names() -> list[str]:
    """All kept conversations, the one that was talked in last first."""
    folder = sessions_dir()
    with reading_errors(folder):
        files = [(path.stat().st_mtime_ns, path) for path in folder.glob("*.jsonl")]
    return [path.stem for _, path in sorted(files, reverse=True)]


class Session:
    """The file of one conversation: made with its first turn, and in step with it since."""

    def __init__(self, name: str | None = None):
        """name: the time of day, where none is given.

        Raises: ConfigError for a name that is not one of a file.
        """
        self.name = _new_name() if name is None else name
        is_name = self.name == Path(self.name).name and self.name.isprintable()
        if not self.name or not is_name or self.name.startswith("."):
            raise ConfigError(f"session: got the name {self.name!r}, expected one of a file")
        self.path = sessions_dir() / f"{self.name}.jsonl"
        self._written: list[Turn] = []

    def read(self) -> list[Turn]:
        """The turns that it has; a last line that was torn is left out.

        Raises: FileError for a file that cannot be read, or has something else in it.
        """
        lines = split_lines(self.path)
        turns = []
        for number, line in enumerate(lines, 1):
            where = f"{self.path}: line {number}"
            entry = parse_line(line)
            if entry is None and number == len(lines):
                break
            if entry is None:
                raise FileError(f"{where}: got {line[:40]!r}, expected a JSON object")
            turns.append(read_turn(entry, where))
        self._written = list(turns) if len(turns) == len(lines) else []
        return turns

    def exists(self) -> bool:
        """Whether it has been written."""
        return find_kind(self.path) == "file"

    def write(self, turns: list[Turn]) -> None:
        """Bring the file in step: a new turn is one line more, anything else is written whole.

        Raises: FileError where it cannot be written.
        """
        if turns == self._written:
            return
        with file_errors(self.path):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if turns[:-1] == self._written and self.exists():
            append_line(self.path, turns[-1].to_json())
        else:
            write_whole(self.path, "".join(json_line(turn.to_json()) for turn in turns))
        self._written = list(turns)


def _new_name() -> str:
    """The time of day; a second one within a second has a number."""
    name, known = datetime.now().strftime("%Y-%m-%d-%H%M%S"), set(session_names())
    numbered = (f"{name}-{number}" for number in range(2, len(known) + 3))
    return name if name not in known else next(one for one in numbered if one not in known)
