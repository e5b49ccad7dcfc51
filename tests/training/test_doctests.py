"""The examples in the docstrings of the pure functions."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(("name", "examples"), [("advantages", 2), ("reinforce", 3)])
def test_the_examples_are_true(name, examples):
    module = importlib.import_module(f"mlx_t2.training.{name}")
    assert doctest.testmod(module) == (0, examples)
