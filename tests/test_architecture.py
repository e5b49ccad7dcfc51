"""The floor plan, as code: a file imports from its own room (siblings) and from rooms on lower
floors. A room may hold one folder of its own.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = [  # from the ground up; rooms on one floor are strangers
    {"errors", "blas", "folders"},
    {"files"},
    {"sandbox"},
    {"grading"},
    {"svf", "tasks"},
    {"models", "experts"},
    {"reading"},
    {"sampling"},
    {"training", "routing"},
    {"adaptation"},
    {"generation", "exporting"},
    {"evaluation", "serving"},
    {"benchmarks", "sharing"},
    {"recipes"},
    {"__init__"},  # mlx_t2/__init__.py: the public names
    {"cli"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
WALLS = {  # package: the rooms that may import it
    "mlx": FLOOR.keys() - {"errors", "blas", "folders", "files", "sandbox", "grading", "tasks"},
    "mlx_lm": {
        *("svf", "models", "reading", "sampling", "exporting", "benchmarks"),
        "training",  # its reporting callbacks only
    },
    "starlette": {"serving"},
    "uvicorn": {"serving"},
    "rich": {"cli"},
    "typer": {"cli"},
    "cli": set(),  # its own files import one another relatively
    "mlx_t2_cli": set(),
}
LONGEST_FUNCTION, LONGEST_FILE = 59, 500


def violations(root: Path) -> list[str]:
    """`file:line imports what: why not`, for the library and the command line."""
    found = []
    for path in sorted([*root.glob("mlx_t2/**/*.py"), *root.glob("cli/**/*.py")]):
        top, inner, *_ = (file := path.relative_to(root)).with_suffix("").parts
        room = "cli" if top == "cli" else inner
        depth = max(1, len(file.parts) - (1 if top == "cli" else 2))
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
    is_file = bool(inner) and name in modules_of(root / "mlx_t2" / other)
    return "another room's file" if other != "__init__" and (file or is_file) else None


def modules_of(room: Path) -> set[str]:
    """Names of a room's files, those of its folder included, and of its folder."""
    inside = {p.stem for p in room.rglob("*.py")}
    return {*inside, *(p.name for p in folders_in(room))} - {"__init__"}


def folders_in(folder: Path) -> list[Path]:
    """Folders directly in a folder that have Python files in them."""
    return sorted(p for p in folder.glob("*") if p.is_dir() and any(p.rglob("*.py")))


def sources(root: Path) -> Iterator[tuple[str, str]]:
    """(path, text) of every Python file of the library and of the command line."""
    for path in sorted([*root.glob("mlx_t2/**/*.py"), *root.glob("cli/**/*.py")]):
        yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method in a file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def shadowing(root: Path) -> list[str]:
    """Functions that bear the name of a file of their room, which `from room import name` then
    hides. A command of `cli` bears the name of its file, and nobody imports from there.
    """
    return [
        f"{path.relative_to(root).as_posix()}:{node.lineno} {node.name}"
        for room in folders_in(root / "mlx_t2")
        for path in sorted(room.rglob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name in modules_of(room)
    ]


def oversized(root: Path) -> list[str]:
    """Functions and files that are too long."""
    found = []
    for file, text in sources(root):
        if (lines := len(text.splitlines())) > LONGEST_FILE:
            found.append(f"{file}: {lines} lines")
        for node in functions(text):
            assert node.end_lineno is not None
            if (lines := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION:
                found.append(f"{file}:{node.lineno} {node.name}: {lines} lines")
    return found


def crowded(root: Path) -> list[str]:
    """Rooms with more than one folder of their own, or with a folder in it."""
    return [
        room.name
        for room in folders_in(root / "mlx_t2")
        if len(inner := folders_in(room)) > 1 or any(folders_in(folder) for folder in inner)
    ]


@pytest.fixture
def tree(tmp_path) -> Path:
    """A library of a few rooms and a command line without a fault."""
    files = {
        "mlx_t2/__init__.py": "from . import blas as blas\nfrom .svf import Basis as Basis",
        "mlx_t2/blas.py": "import os",
        "mlx_t2/svf/__init__.py": "from .layer import svf_layer as svf_layer",
        "mlx_t2/svf/layer.py": "import mlx.core as mx\nfrom mlx_t2 import blas",
        "mlx_t2/svf/cache.py": "from . import layer\nfrom mlx_t2.errors import T2Error",
        "mlx_t2/models/loading.py": "import mlx_lm\nfrom mlx_t2.svf import svf_layer",
        "mlx_t2/tasks/__init__.py": "from .generated import words",
        "mlx_t2/tasks/generated/kind.py": "from . import words\nfrom ..task import Task",
        "mlx_t2/routing/head.py": "from mlx_t2.reading import last_hidden",
        "mlx_t2/recipes/bundle.py": "from mlx_t2.benchmarks import SUITES",
        "cli/main.py": "import typer\nimport mlx_t2\nfrom .ask import ask",
        "cli/chat/talk.py": "from . import lines\nfrom ..ask import ask",
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
        ("tasks/a", "from mlx_t2.svf import layer", 1, "mlx_t2.svf.layer: sideways"),
        ("grading/a", "import mlx_t2.tasks", 1, "mlx_t2.tasks: upward"),
        (
            "reading/a",
            "from mlx_t2.sampling import sample",
            1,
            "mlx_t2.sampling.sample: upward",
        ),
        ("routing/a", "import mlx_t2.adaptation", 1, "mlx_t2.adaptation: upward"),
        ("training/a", "import mlx_t2.routing", 1, "mlx_t2.routing: sideways"),
        ("training/a", "import mlx_t2.evaluation", 1, "mlx_t2.evaluation: upward"),
        ("benchmarks/a", "import mlx_t2.recipes", 1, "mlx_t2.recipes: upward"),
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
        (
            "models/a",
            "import mlx_t2.tasks.generated",
            1,
            "mlx_t2.tasks.generated: another room's file",
        ),
        (
            "models/a",
            "from mlx_t2.tasks import generated",
            1,
            "mlx_t2.tasks.generated: another room's file",
        ),
        (
            "tasks/generated/a",
            "from ...svf import layer",
            1,
            "...svf.layer: a relative import leaves its room",
        ),
        ("tasks/a", "import mlx.core as mx", 1, "mlx.core: tasks may not know mlx"),
        ("grading/a", "import mlx.core as mx", 1, "mlx.core: grading may not know mlx"),
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


def test_a_folder_of_the_command_line_stays_in_it(tree):
    plant(tree, "cli/chat/a.py", "from ...mlx_t2 import svf")
    assert violations(tree) == [
        "cli/chat/a.py:1 imports ...mlx_t2.svf: a relative import leaves its room"
    ]


def test_every_room_and_every_module_opens_with_a_docstring():
    files = sorted((ROOT / "mlx_t2").rglob("*.py"))
    rooms = {p for p in (ROOT / "mlx_t2").iterdir() if p.stem in FLOOR and p.is_dir()}
    assert rooms <= {file.parent for file in files if file.name == "__init__.py"}
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}
    assert [f.relative_to(ROOT) for f in files if not ast.get_docstring(trees[f])] == []


def test_no_function_bears_the_name_of_a_file_of_its_room():
    assert shadowing(ROOT) == []


def test_a_planted_function_with_the_name_of_a_file_is_named(tree):
    plant(tree, "mlx_t2/svf/fold.py", "def cache(): ...\n\nclass A:\n    def layer(self): ...")
    plant(tree, "mlx_t2/tasks/a.py", "\ndef words(): ...\ndef generated(): ...")
    plant(tree, "mlx_t2/tasks/generated/words.py", "")
    assert shadowing(tree) == [
        "mlx_t2/svf/fold.py:1 cache",
        "mlx_t2/tasks/a.py:2 words",
        "mlx_t2/tasks/a.py:3 generated",
    ]


def test_no_function_and_no_file_is_too_long():
    assert oversized(ROOT) == []


def test_a_planted_function_or_file_that_is_too_long_is_named(tree):
    plant(tree, "mlx_t2/svf/a.py", "class A:\n    def f():\n" + "        x = 1\n" * 59)
    plant(tree, "cli/a.py", "def f():\n" + "    x = 1\n" * 58 + "x = 1\n" * 442)
    assert oversized(tree) == ["cli/a.py: 502 lines", "mlx_t2/svf/a.py:2 f: 60 lines"]


def test_a_room_has_at_most_one_folder_without_folders():
    assert crowded(ROOT) == []


@pytest.mark.parametrize("folder", ["tasks/public", "tasks/generated/words"])
def test_a_planted_second_folder_is_named(tree, folder):
    assert crowded(tree) == []
    plant(tree, f"mlx_t2/{folder}/a.py", "")
    assert crowded(tree) == ["tasks"]
