import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["", "everything"])
def test_an_unknown_recipe_is_wrong_usage(name):
    command = [sys.executable, "-m", "mlx_t2_cli.recipes", *name.split()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert "experts" in ran.stderr or "NAME" in ran.stderr.upper()
