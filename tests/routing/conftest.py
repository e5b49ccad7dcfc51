"""Scales to wear while a router reads: under the base weights all the same."""

import pytest
from helpers import random_scales


@pytest.fixture
def worn(tiny_model):
    return random_scales(tiny_model.shapes, 1, spread=0.5)
