"""What is run in the sandbox, and what is known of it afterwards."""

from dataclasses import dataclass
from typing import Literal

from .values import Value

Level = Literal["seatbelt", "bwrap", "landlock", "limits"]


@dataclass(frozen=True)
class Program:
    """Untrusted Python: executed like a module, then asked for values.

    What is expected of the values stays with the caller: nothing in here is secret.
    """

    source: str
    """The module."""
    calls: tuple[str, ...]
    """Expressions, evaluated one after the other in the module's namespace."""
    cpu_s: float = 2
    """Processor time [s], rounded up to whole seconds."""
    wall_s: float = 10
    """Time on the clock [s]."""
    memory_mb: int = 1024
    """Address space beside the interpreter's own [MB]."""


@dataclass(frozen=True)
class Outcome:
    """What a program gave. A fault is the program's own, never the machine's."""

    values: tuple[Value, ...]
    """The values of the calls that were answered, in order: plain builtins or `Opaque`."""
    fault: str | None
    """Why the program ended before it had answered all calls, in one line."""
    is_timeout: bool
    """Ended by its processor time or by the clock."""
    level: Level
    """What held it."""
