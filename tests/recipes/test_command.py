"""What a recipe's command does with words that mean nothing, and with errors."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["", "everything"])
def test_an_unknown_recipe_is_wrong_usage(name):
    command = [sys.executable, "-m", "mlx_t2_cli.recipes", *name.split()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert "experts" in ran.stderr or "NAME" in ran.stderr.upper()


def test_an_error_of_a_recipe_is_one_line():
    command = [sys.executable, "-m", "mlx_t2_cli.recipes", "evidence", "--plan", "--part", "no"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "'no'" in ran.stderr or "no" in ran.stderr.split()
