"""The floor plan, as code: a file imports from its own room (siblings) and from rooms on lower
floors.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = [  # from the ground up; rooms on one floor are strangers
    {"errors", "blas", "folders"},
    {"files"},
    {"svf", "grading"},
    {"tasks", "models", "experts"},
    {"reading"},
    {"sampling"},
    {"training", "routing"},
    {"adaptation"},
    {"generation", "exporting"},
    {"evaluation"},
    {"benchmarks"},  # a floor of its own: it measures with `evaluation`
    {"__init__"},  # mlx_t2/__init__.py: the public names
    {"cli"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
WALLS = {  # package: the rooms that may import it
    "mlx": FLOOR.keys() - {"errors", "blas", "folders", "files", "grading", "tasks"},
    "mlx_lm": {
        "svf",
        "models",
        "reading",
        "sampling",
        "exporting",
        "benchmarks",
        "training",
    },  # svf: its layer classes alone; training: its reporting callbacks alone
    "rich": {"cli"},
    "typer": {"cli"},
    "cli": set(),  # its own files import one another relatively
    "mlx_t2_cli": set(),
}


def violations(root: Path) -> list[str]:
    """`file:line imports what: why not`, for the library and the command line."""
    found = []
    for path in sorted([*root.glob("mlx_t2/**/*.py"), *root.glob("cli/**/*.py")]):
        top, inner, *_ = (file := path.relative_to(root)).with_suffix("").parts
        room = "cli" if top == "cli" else inner
        depth = max(1, len(file.parts) - 2)
        if room not in FLOOR:
            found.append(f"{file.as_posix()}:1 is in no room of FLOORS")
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for shown, level, module, name in imports(node):
                if why := fault(root, room, depth, level, module, name):
                    found.append(f"{file.as_posix()}:{node.lineno} imports {shown}: {why}")
    return found


def imports(node: ast.AST):
    """(as written, dots in front, module, name or None) of each name that a node imports."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, 0, alias.name, None) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            shown = "." * node.level + ".".join(filter(None, [node.module, alias.name]))
            yield shown, node.level, node.module or "", alias.name


def fault(
    root: Path, room: str, depth: int, level: int, module: str, name: str | None
) -> str | None:
    """Why a file of `room` may not import this; None when it may.

    depth: folders from the room's own down to the file's.
    """
    if level == 1 and room == "__init__":  # the root's siblings are the rooms
        level, module = 0, f"mlx_t2.{module}".rstrip(".")
    if level > depth:
        return "a relative import leaves its room"
    if level > 1:
        return None
    if level == 1:
        return "another room, relatively" if (root / f"mlx_t2/{room}.py").exists() else None
    top, *inner = module.split(".")
    if room not in WALLS.get(top, FLOOR):
        return f"{room} may not know {top}"
    if top != "mlx_t2":
        return None
    other, *file = [*inner, *([name] if name and not inner else [])] or ["__init__"]
    other = other if other in FLOOR else "__init__"
    if other == room:
        return "its own room, absolutely"
    if FLOOR[other] >= FLOOR[room]:
        return "sideways" if FLOOR[other] == FLOOR[room] else "upward"
    folder = root / "mlx_t2" / other
    is_file = inner and (folder / f"{name}.py").exists() and name not in exported(folder)
    return "another room's file" if other != "__init__" and (file or is_file) else None


def exported(room: Path) -> set[str]:
    """What a room's `__init__.py` imports: `sample` is both a file and the function in it."""
    tree = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
    return {
        a.asname or a.name
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom)
        for a in n.names
    }


@pytest.fixture
def tree(tmp_path) -> Path:
    """A library of two rooms and a command line without a fault."""
    files = {
        "mlx_t2/__init__.py": "from . import blas as blas\nfrom .svf import Basis as Basis",
        "mlx_t2/blas.py": "import os",
        "mlx_t2/svf/__init__.py": "from .layer import layer as layer",
        "mlx_t2/svf/layer.py": "import mlx.core as mx\nfrom mlx_t2 import blas",
        "mlx_t2/svf/cache.py": "from . import layer\nfrom mlx_t2.errors import T2Error",
        "mlx_t2/models/load.py": "import mlx_lm\nfrom mlx_t2.svf import layer",  # the function
        "cli/main.py": "import typer\nimport mlx_t2\nfrom .ask import ask",
    }
    for file, text in files.items():
        plant(tmp_path, file, text)
    return tmp_path


def plant(root: Path, file: str, text: str) -> None:
    """Write one file of a tree."""
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text + "\n")


def test_every_import_of_the_project_follows_the_floor_plan():
    assert violations(ROOT) == []


def test_every_room_on_a_floor_exists():
    assert {p.stem for p in (ROOT / "mlx_t2").iterdir()} >= FLOOR.keys() - {"cli"}


def test_what_the_floor_plan_allows_passes(tree):
    assert violations(tree) == []


@pytest.mark.parametrize(
    ("file", "text", "line", "fault"),
    [
        ("svf/a", "from mlx_t2.models import load", 1, "mlx_t2.models.load: upward"),
        ("svf/a", "from mlx_t2 import Basis", 1, "mlx_t2.Basis: upward"),  # the public names
        ("svf/a", "def f():\n    import mlx_t2.models", 2, "mlx_t2.models: upward"),
        ("tasks/a", "def f():\n    from mlx_t2 import models", 2, "mlx_t2.models: upward"),
        ("experts/a", "from mlx_t2.models import load", 1, "mlx_t2.models.load: sideways"),
        ("blas", "from mlx_t2 import errors", 1, "mlx_t2.errors: sideways"),
        ("blas", "from . import errors", 1, ".errors: another room, relatively"),
        ("models/a", "import mlx_t2.svf.cache", 1, "mlx_t2.svf.cache: another room's file"),
        (
            "models/a",
            "from mlx_t2.svf import cache",
            1,
            "mlx_t2.svf.cache: another room's file",
        ),
        (
            "models/a",
            "from mlx_t2.svf.cache import B",
            1,
            "mlx_t2.svf.cache.B: another room's file",
        ),
        ("__init__", "from .svf.cache import B", 1, ".svf.cache.B: another room's file"),
        (
            "models/a",
            "\nfrom ..svf import Basis",
            2,
            "..svf.Basis: a relative import leaves its room",
        ),
        (
            "svf/a",
            "from mlx_t2.svf import layer",
            1,
            "mlx_t2.svf.layer: its own room, absolutely",
        ),
        ("tasks/a", "import mlx.core as mx", 1, "mlx.core: tasks may not know mlx"),
        ("errors", "from mlx import core", 1, "mlx.core: errors may not know mlx"),
        ("generation/a", "import mlx_lm", 1, "mlx_lm: generation may not know mlx_lm"),
        (
            "evaluation/a",
            "from rich.table import T",
            1,
            "rich.table.T: evaluation may not know rich",
        ),
        (
            "adaptation/a",
            "def f():\n    import mlx_lm",
            2,
            "mlx_lm: adaptation may not know mlx_lm",
        ),
        ("training/a", "def f():\n    import typer", 2, "typer: training may not know typer"),
        ("training/a", "import mlx_t2_cli", 1, "mlx_t2_cli: training may not know mlx_t2_cli"),
        ("training/a", "from cli import main", 1, "cli.main: training may not know cli"),
    ],
)
def test_a_planted_violation_is_named_with_its_file_and_line(tree, file, text, line, fault):
    plant(tree, f"mlx_t2/{file}.py", text)
    assert violations(tree) == [f"mlx_t2/{file}.py:{line} imports {fault}"]


def test_a_room_without_a_floor_is_named(tree):
    plant(tree, "mlx_t2/utils/a.py", "import os")
    assert violations(tree) == ["mlx_t2/utils/a.py:1 is in no room of FLOORS"]


def test_the_command_line_knows_rooms_not_their_files(tree):
    plant(tree, "cli/a.py", "def f():\n    from mlx_t2.svf.cache import B")
    assert violations(tree) == ["cli/a.py:2 imports mlx_t2.svf.cache.B: another room's file"]


def test_every_room_and_every_module_opens_with_a_docstring():
    files = sorted((ROOT / "mlx_t2").rglob("*.py"))
    rooms = {p for p in (ROOT / "mlx_t2").iterdir() if p.stem in FLOOR and p.is_dir()}
    assert rooms <= {file.parent for file in files if file.name == "__init__.py"}
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}
    assert [f.relative_to(ROOT) for f in files if not ast.get_docstring(trees[f])] == []
