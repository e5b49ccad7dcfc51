"""Runs the program: the only place where an error becomes an exit code."""

import sys

from . import surroundings
from .program import build_program
from .render import complain


def main() -> None:
    """Run `t2`: 0 done, 1 an error that the user can mend, 2 wrong usage, 130 interrupted,
    141 whoever read the output has left.
    """
    try:
        surroundings.prepare()
        code = _run()
        sys.stdout.flush()
    except surroundings.ReaderGone:
        code = 141
    except surroundings.SurroundingsError as error:
        code = _complain(str(error), 1)
    sys.exit(code)


def _run() -> int:
    stray = surroundings.find_stray_byte(sys.argv)
    if stray is not None:
        return _complain(f"argument: {stray}, expected UTF-8 text", 2)
    try:
        build_program()(prog_name="t2")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except (surroundings.ReaderGone, surroundings.SurroundingsError):
        raise
    except Exception as error:
        from mlx_t2.errors import T2Error

        if not isinstance(error, T2Error):
            raise
        return _complain(str(error), 1)
    return 0


def _complain(message: str, code: int) -> int:
    complain(message)
    return code
