"""What is remembered of models of one form."""

import mlx.core as mx
import pytest
from helpers import tiny_network, tiny_tokenizer

from mlx_t2.models import SVFModel
from mlx_t2.reading import batchable, batching, last_hidden
from mlx_t2.sampling import SamplingConfig, sample, stream


@pytest.fixture
def tries(monkeypatch) -> list:
    """Every model that is tried."""
    tried, test = [], batchable._try
    monkeypatch.setattr(batchable, "_try", lambda model: tried.append(model) or test(model))
    return tried


def make(seed: int = 0, layers: int = 2) -> SVFModel:
    return SVFModel("tiny", tiny_network(seed, layers), tiny_tokenizer())


def test_a_form_is_tried_once_whatever_its_weights(tries):
    found = [batching(make(seed)) for seed in (0, 1)]
    assert found[0] == found[1] == batchable.Batching("padded", "")
    assert len(tries) == 1
    batching(make(layers=3))
    assert len(tries) == 2


def test_a_precision_or_a_version_is_tried_anew(tries, monkeypatch):
    batching(make())
    half = make()
    half.network.set_dtype(mx.float16)
    batching(half)
    monkeypatch.setattr(batchable, "version", lambda name: "another")
    batching(make())
    assert len(tries) == 3


@pytest.mark.parametrize("text", ["", "[]", '{"mode": "wild", "why": ""}', '{"mode": "equal"}'])
def test_a_damaged_memory_is_tried_anew(tries, text):
    batching(make())
    (file,) = batchable.findings_dir().iterdir()
    file.write_text(text)
    assert batching(make()).mode == "padded"
    assert len(tries) == 2


def test_a_folder_that_cannot_be_written_costs_only_time(monkeypatch, tmp_path):
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr(batchable, "findings_dir", lambda: tmp_path / "taken")
    assert batching(make()).mode == "padded"


def test_one_row_is_read_without_a_test(tries):
    model, config = make(), SamplingConfig(temperature=0, max_tokens=3)
    sample(model, [[5, 6]], config)
    list(stream(model, [5, 6], config))
    last_hidden(model, [[5, 6, 7]])
    assert tries == []
