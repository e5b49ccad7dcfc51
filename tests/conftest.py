"""Before any test: no network, shapes checked, user state in a folder of the test's own."""

import os
from itertools import count
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import shapes

shapes.install()

# isort: off
import mlx_t2.blas  # noqa: E402, F401  before MLX, or it multiplies with the slow BLAS

# isort: on
import pytest  # noqa: E402
from helpers import tiny_network, tiny_tokenizer  # noqa: E402
from jaxtyping import config  # noqa: E402

from mlx_t2.models import SVFModel  # noqa: E402

_NUMBERS = count()


def unmade(factory: pytest.TempPathFactory) -> Path:
    """A folder of a test's own that is made by whoever writes into it: few tests do, and making
    and removing thousands takes a minute.
    """
    return factory.getbasetemp() / f"unmade-{next(_NUMBERS)}"


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """Experts and history are the test's; the cache of converted models and bases stays where
    it is.
    """
    monkeypatch.setenv("MLX_T2_HOME", str(unmade(tmp_path_factory)))


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path_factory, monkeypatch):
    """What an architecture reads in a batch is tried in every test; how fast the machine is, a
    process measures for itself.
    """
    folder = unmade(tmp_path_factory)
    monkeypatch.setattr("mlx_t2.reading.batchable.findings_dir", lambda: folder)
    monkeypatch.setattr("mlx_t2.svf.speed.cache_dir", lambda: folder)


@pytest.fixture(autouse=True)
def shapes_are_checked(request):
    """In every test, but not in those of whole trainings, whose parts have tests of their own:
    it takes twice their time.
    """
    config.update("jaxtyping_disable", "whole_runs" in request.keywords)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def tiny_model() -> SVFModel:
    """A tiny llama whose MLP layers wear scales."""
    model = SVFModel("tiny", tiny_network(), tiny_tokenizer())
    for _ in model.decompose():
        pass
    return model
