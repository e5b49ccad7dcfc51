"""Where the `t2` script begins: Ctrl-C is understood before anything else is imported.

Raised inside an import, an interrupt is a traceback, or lost, or becomes another error; so the
process just ends, until the commands are there. Nothing has been begun by then.
"""

import _signal  # pyright: ignore[reportMissingImports]  not `signal`: its own imports take longer
import os


def _end_at_once(*_: object) -> None:
    os._exit(130)


if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _end_at_once)


def main() -> None:
    """Run `t2`."""
    from .main import main as run

    if _signal.getsignal(_signal.SIGINT) is _end_at_once:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    run()
