"""What is run in the sandbox, and what is known of it afterwards."""

import ast
import builtins
from dataclasses import dataclass
from typing import Literal

from .values import Value

Level = Literal["seatbelt", "bwrap", "landlock", "limits"]


@dataclass(frozen=True)
class Program:
    """Untrusted Python: executed like a module, then asked for values.

    What is expected of the values stays with the caller: nothing in here is secret but `tests`,
    which run in a process of their own.
    """

    source: str
    """The module."""
    calls: tuple[str, ...] = ()
    """Expressions, evaluated one after the other in the module's namespace."""
    cpu_s: float = 2
    """Processor time [s], rounded up to whole seconds."""
    wall_s: float = 10
    """Time on the clock [s]."""
    memory_mb: int = 1024
    """Address space beside the interpreter's own [MB]."""
    tests: str | None = None
    """Trusted code instead of calls: it raises, or else its one value is True."""


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


def find_free_names(code: str) -> list[str]:
    """Names that code uses and does not make itself; none where it is no Python.

    >>> find_free_names("def check(f):\\n    assert f(2) == g(len('ab'))\\ncheck(h)")
    ['g', 'h']
    """
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    made = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                made.add(name)
            case ast.alias(name=name, asname=alias):
                made.add(alias or name.split(".")[0])
            case ast.ExceptHandler(name=str(name)):
                made.add(name)
    return sorted(used - made - set(dir(builtins)))
