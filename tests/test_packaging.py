"""What a user installs: a wheel, in an environment of its own, run outside the tree."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from mlx_t2.blas import BLAS

ROOT = Path(__file__).parents[1]
PACKAGED = ("mlx_t2", "cli", "pyproject.toml", "README.md", "LICENSE")


def run(*command: object, **options) -> subprocess.CompletedProcess:
    ran = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, **options
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, because building leaves folders in the tree."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, tree / name)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--no-build-isolation", "--wheel-dir", out, tree)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def t2(wheel, tmp_path_factory):
    """Run the installed `t2` in an empty folder. Its environment has links to what is installed
    beside the tests, but none to what makes the tree importable.
    """
    place = tmp_path_factory.mktemp("place")
    environment = place / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index",
        "--no-deps", wheel)  # fmt: skip
    (packages,) = environment.glob("lib/python*/site-packages")
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith(("mlx_t2", "__editable__")):
            (packages / installed.name).symlink_to(installed)
    variables = os.environ | {"MLX_T2_HOME": str(place / "home"), "HF_HUB_OFFLINE": "1"}
    variables.pop("PYTHONPATH", None)

    def run_t2(*words: str) -> subprocess.CompletedProcess:
        return run(environment / "bin" / "t2", *words, cwd=place, env=variables)

    run_t2.python = python
    run_t2.place = place
    return run_t2


def test_the_wheel_has_every_room_and_no_module_called_cli(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {name for name in names if name.endswith(".py")}
    expected = {
        path.relative_to(ROOT).as_posix().replace("cli/", "mlx_t2_cli/", 1)
        for folder in ("mlx_t2", "cli")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert modules == expected


def test_the_wheel_has_the_data_that_the_library_reads(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    data = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mlx_t2").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert data <= names


def test_the_installed_program_does_not_see_the_tree(t2):
    code = "import mlx_t2, mlx_t2_cli; print(mlx_t2.__file__, mlx_t2_cli.__file__)"
    places = run(t2.python, "-c", code, cwd=t2.place).stdout.split()
    assert all(Path(place).is_relative_to(t2.place) for place in places)


def test_the_installed_program_examines_the_machine(t2):
    assert json.loads(t2("doctor", "--json").stdout)["blas"] == BLAS.name


def test_the_installed_program_has_the_bundled_experts(t2):
    found = json.loads(t2("experts", "list", "--json").stdout)["experts"]
    assert [expert["name"] for expert in found] == ["arc-easy", "expression", "kind", "largest"]
    assert all(Path(expert["path"]).is_relative_to(t2.place) for expert in found)


def test_the_installed_program_answers_under_a_bundled_expert(t2):
    assert t2("generate", "36, 73, 80", "--expert", "largest").stdout == "80\n"


def test_make_knows_how_to_set_the_tree_up():
    planned = run("make", "--dry-run", "--always-make", "setup", cwd=ROOT).stdout
    assert "pip install" in planned
