"""`make setup` with a Python that will not do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("version", ["(3, 10, 9)", "(3, 9, 6)", "(2, 7, 18)"])
def test_an_older_python_is_named_and_nothing_is_made(tmp_path, version):
    for name in ("Makefile", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    older = tmp_path / "older"
    code = f"import sys; sys.version_info = {version}; exec(sys.argv[2])"
    older.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}' \"$@\"\n")
    older.chmod(0o755)
    ran = subprocess.run(
        ["make", "setup", "PYTHON=./older"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 2
    major, minor, _ = eval(version)
    assert f"is Python {major}.{minor}, expected 3.11 or newer" in ran.stderr
    assert "make setup PYTHON=" in ran.stderr
    assert not (tmp_path / ".venv").exists()
