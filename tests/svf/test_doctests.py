"""The examples in the docstrings are true."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["decompose"])
def test_examples_print_what_they_say(module):
    results = doctest.testmod(import_module(f"mlx_t2.svf.{module}"))
    assert results.attempted > 0
    assert results.failed == 0
