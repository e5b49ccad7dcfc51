"""What is imported with the room, and what waits until a server is asked for."""

import ast
from pathlib import Path

import mlx_t2.serving

ROOM = Path(mlx_t2.serving.__file__).parent


def imported_with(name: str, seen: set[str]) -> set[str]:
    """Names of modules imported with a file of the room, its own files included."""
    if name in seen or not (ROOM / f"{name}.py").exists():
        return seen
    seen.add(name)
    for node in ast.parse((ROOM / f"{name}.py").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            top = (node.module or "").split(".")[0]
            seen |= imported_with(top, seen) if node.level else {top}
        elif isinstance(node, ast.Import):
            seen |= {alias.name.split(".")[0] for alias in node.names}
    return seen


def test_other_commands_do_not_wait_for_the_servers_libraries():
    assert {"starlette", "uvicorn"} <= imported_with("run", set())
    found = imported_with("__init__", set())
    assert {"engine", "order", "mlx"} <= found
    assert not {"starlette", "uvicorn"} & found
