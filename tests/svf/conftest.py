import pytest

from mlx_t2 import blas


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As when a model is decomposed: on a busy machine threads wait for one another, 80 times
    as long as a 256 × 256 weight takes.
    """
    with blas.threads(1):
        yield
