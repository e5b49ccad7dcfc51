"""A pool of one worker for each level that this machine has."""

import pytest

from mlx_t2.sandbox import Program
from mlx_t2.sandbox.levels import NUMBERS
from mlx_t2.sandbox.pool import Pool
from mlx_t2.sandbox.probe import try_level


@pytest.fixture(scope="session", params=list(NUMBERS))
def pool(request):
    """A pool of one worker at each level in turn."""
    if fault := try_level(request.param):
        pytest.skip(f"this machine has no level {request.param!r}: {fault}")
    pool = Pool(request.param, 1)
    yield pool
    pool.close()


@pytest.fixture
def run(pool):
    """Runs one program and gives its outcome."""

    def run(source, *calls, **settings):
        return pool.start([Program(source, calls, **settings)]).results()[0]

    return run
