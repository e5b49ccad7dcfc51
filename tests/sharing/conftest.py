"""A hub on loopback that this process talks to, with a cache and a token of the test's own."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http
from stub_hub import running_hub

from mlx_t2.experts import Expert


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The hub, empty; its client does not wait between tries."""
    with running_hub() as hub:
        template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("HF_TOKEN", "hf_of-the-test")
        monkeypatch.setattr(_http.time, "sleep", lambda _: None)
        _http.close_session()
        yield hub
        _http.close_session()


@pytest.fixture
def make_expert() -> Callable[..., Expert]:
    """Experts called digits; keywords replace any field."""

    def make(seed: int = 0, **changes: Any) -> Expert:
        fields = {
            "name": "digits",
            "scales": {"model.layers.0.mlp.up_proj": mx.array([0.5, 1.5, seed + 1.0])},
            "base_model": "tiny",
            "base_fingerprint": "ab12" * 16,
            "targets": "mlp",
            "rank": None,
            "task": "largest",
            "seed": seed,
            "config": {"lr": 5e-3, "steps": 20},
            "metrics": {"base_accuracy": 0.25, "final_accuracy": 0.75, "n_eval": 200},
        }
        return Expert(**fields | changes)

    return make
