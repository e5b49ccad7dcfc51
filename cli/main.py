"""Runs the program: the only place where an error becomes an exit code."""

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

from . import surroundings
from .program import build_program
from .render import complain


def main(program: Callable[[], object] | None = None) -> None:
    """Run `t2`, or another program: 0 done, 1 an error that the user can mend, 2 wrong usage,
    130 interrupted, 141 whoever read the output has left.
    """
    try:
        surroundings.prepare()
        code = _run(program or _run_t2)
        sys.stdout.flush()
    except surroundings.ReaderGone:
        code = 141
    except surroundings.SurroundingsError as error:
        code = _complain(str(error), 1)
    sys.exit(code)


def _run_t2() -> None:
    build_program()(prog_name="t2")


def _run(program: Callable[[], object]) -> int:
    stray = surroundings.find_stray_byte(sys.argv)
    if stray is not None:
        return _complain(f"argument: {stray}, expected UTF-8 text", 2)
    if (flag := _empty_place(sys.argv)) is not None:
        return _complain(f"{flag}: got '', expected a name or a path", 2)
    try:
        program()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except (surroundings.ReaderGone, surroundings.SurroundingsError):
        raise
    except Exception as error:
        from mlx_t2.errors import T2Error

        if _is_of_memory(error):
            return _complain(f"memory: {_NO_MEMORY} ({_first_line(error)})", 1)
        if not isinstance(error, T2Error) and not _is_of_a_path(error):
            raise
        return _complain(_in_one_line(error), 1)
    return 0


def _empty_place(words: Sequence[str]) -> str | None:
    """The flag whose name or path is empty, as from a variable that is not set: an empty path
    would be the current folder.
    """
    for flag in ("--out", "--experts", "--model", "--init", "--config", "--router"):
        if f"{flag}=" in words or (flag, "") in pairwise(words):
            return flag
    return None


def _complain(message: str, code: int) -> int:
    complain(message)
    return code


def _is_of_a_path(error: Exception) -> bool:
    """The system's word on a path that somebody gave: a last net under the library's own."""
    return isinstance(error, OSError) and bool(error.errno) and bool(error.filename)


_NO_MEMORY = (
    "none is left for this; take a quantised or smaller model, or less at a time: fewer rows, "
    "shorter answers, a shorter prompt"
)


def _is_of_memory(error: Exception) -> bool:
    """MLX's word, on each of its devices, on memory that it did not get."""
    if isinstance(error, MemoryError):
        return True
    said = str(error).lower()
    found = ("out of memory", "unable to allocate", "insufficient memory", "outofmemory")
    return isinstance(error, RuntimeError) and any(words in said for words in found)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror or 'not usable'}, expected a usable path"
    return str(error)
