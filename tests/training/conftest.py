import pytest
from toy_task import toy_model

from mlx_t2.models import SVFModel


@pytest.fixture
def model() -> SVFModel:
    return toy_model()
