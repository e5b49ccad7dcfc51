"""Names of models, and folders of every name."""

import json
import os
from dataclasses import asdict

import mlx.core as mx
import pytest
from helpers import tiny_network, tiny_tokenizer
from mlx.utils import tree_flatten

from mlx_t2.errors import ModelError
from mlx_t2.models import load


@pytest.fixture
def save(tmp_path, monkeypatch):
    """A tiny model in a folder of this name, under the working folder."""
    monkeypatch.chdir(tmp_path)

    def to(name: str):
        folder, network = tmp_path / name, tiny_network()
        folder.mkdir(parents=True)
        settings = {k: v for k, v in asdict(network.args).items() if v is not None}
        (folder / "config.json").write_text(json.dumps(settings))
        weights = dict(tree_flatten(network.parameters()))
        mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
        tiny_tokenizer().save_pretrained(folder)
        return folder

    return to


@pytest.mark.parametrize("name", ["Llama [4bit]", "what?", "*", "[!a]", "[a-"])
@pytest.mark.parametrize("lazy", [True, False])
def test_a_folder_whose_name_is_a_pattern_is_loaded(save, name, lazy):
    save(name)
    model = load(f"./{name}", lazy)
    assert model.name == name
    assert mx.isfinite(model.network(mx.array([[5]]))).all()


@pytest.mark.parametrize("spell", ["tiny", "./tiny", "tiny/", "../{here}/tiny", "{whole}/tiny"])
def test_a_model_is_called_as_its_folder_however_it_is_spelt(save, spell):
    folder = save("tiny")
    name = spell.format(here=folder.parent.name, whole=folder.parent)
    model = load(name)
    assert (model.name, model.source) == ("tiny", name)


def test_the_working_folder_has_a_name_too(save, monkeypatch):
    monkeypatch.chdir(save("tiny"))
    assert load(".").name == "tiny"


def test_a_copy_of_the_hub_is_called_as_on_the_hub(save):
    folder = save("models--org--name/snapshots/0123abc")
    assert load(str(folder)).name == "org/name"


def test_missing_files_of_weights_are_counted_and_the_first_is_named(save):
    folder = save("tiny")
    os.rename(folder / "model.safetensors", folder / "model-00001-of-00003.safetensors")
    parts = {str(i): f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": parts}))
    with pytest.raises(ModelError, match=r"2 of its 3 files .* model-00002-of-00003"):
        load("tiny")


def test_a_file_is_not_a_model(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="a file, expected the folder"):
        load(str(tmp_path / "file"))
