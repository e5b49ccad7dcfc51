"""The program of a process that may be killed: it does what can take for ever.

Run as a script of its own, so that it starts in little time: it imports nothing of the project.
One JSON object per line in, one per line out. Whatever takes more processor time than its limit
ends the process, inside C code too. Does not know what the answers are used for.
"""

import json
import re
import resource
import signal
import sys
from importlib import import_module
from typing import Any

MEMORY = 2 << 30
"""Most memory of the process [bytes]; not enforced on macOS."""


def find_pattern(request: dict[str, Any]) -> str | None:
    """What a pattern captures where it matches last; None where it does not match."""
    last = None
    for last in re.finditer(request["pattern"], request["text"]):  # noqa: B007
        pass
    if last is None:
        return None
    return (last[1] if last.re.groups else last[0]) or ""


def compare_latex(request: dict[str, Any]) -> bool:
    """Whether math-verify reads two expressions as equal."""
    from math_verify import parse, verify  # pyright: ignore[reportMissingImports]  # an extra

    expected, got = (
        parse(f"\\boxed{{{request[side]}}}", parsing_timeout=0) for side in ("expected", "got")
    )
    return bool(expected and got) and verify(expected, got, timeout_seconds=0)


def serve(subject: str) -> None:
    """Answers requests until there are no more."""
    answer = {"pattern": find_pattern, "latex": compare_latex}[subject]
    if subject == "latex":
        import_module("math_verify")  # now, not at the expense of the first request
    lines = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is no answer
    print(json.dumps({"ready": True}), file=lines, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, request["limit_s"])  # its signal ends the process
        try:
            reply = {"answer": answer(request)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"[:200]}
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(reply), file=lines, flush=True)


if __name__ == "__main__":
    if sys.platform != "darwin":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    serve(sys.argv[1])
