"""What exports of weights share: refusals, notes, and a place that is whole or not there."""

import errno
import json
import math

import mlx.core as mx
import pytest

from mlx_t2.adaptation import Adapted
from mlx_t2.errors import ConfigError, FileError, ModelError
from mlx_t2.exporting import is_export, to_full, to_fused, to_lora
from mlx_t2.exporting.verification import effective_weight, verify
from mlx_t2.models import SVFModel, load

WAYS = [to_fused, to_full, to_lora]


@pytest.mark.parametrize("way", WAYS)
def test_an_expert_that_acts_on_the_answer_alone_is_refused(make_model, draw, tmp_path, way):
    model = make_model()
    adapted = draw(model, acts_on="answer")
    with pytest.raises(ConfigError, match=r"acts on the answer alone.*hand it on as"):
        way(model, adapted, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    done = way(model, adapted, tmp_path / "out", force=True)
    assert "acts on the answer alone" in done.notes[0]
    assert done.verified.least > 0.9
    assert json.loads((done.path / "mlx_t2.json").read_text())["acts_on"] == "answer"


def test_the_prompt_that_is_not_in_the_weights_is_told_and_kept(make_model, draw, tmp_path):
    model = make_model()
    prompt = ({"role": "system", "content": "Answer."},)
    done = to_fused(model, draw(model, prompt=prompt), tmp_path / "out")
    assert "its prompt (1 messages in front of a question)" in done.notes[0]
    kept = json.loads((done.path / "mlx_t2.json").read_text())
    assert kept["prompt"] == list(prompt)
    assert kept["verified"]["weights"]["share"] == done.verified.weights.share


@pytest.mark.parametrize("way", WAYS)
def test_an_expert_that_changes_nothing_is_refused(make_model, tmp_path, way):
    model = make_model()
    ones = {path: mx.ones(shape) for path, shape in model.shapes.items()}
    for scales in ({}, ones):
        with pytest.raises(ConfigError, match="export: every scale is 1"):
            way(model, Adapted(scales), tmp_path / "out")


def test_a_layer_that_does_not_change_is_left_alone(make_model, draw, tmp_path):
    model = make_model()
    adapted = draw(model)
    path = "model.layers.0.mlp.up_proj"
    adapted.scales[path] = mx.ones(model.shapes[path])
    done = to_full(model, adapted, tmp_path / "out")
    tensors = mx.load(str(done.path / "adapters.safetensors"))
    assert tensors.keys() == {f"{p}.weight" for p in model.shapes if p != path}


def test_what_is_in_the_way_is_named_and_stays(make_model, draw, tmp_path):
    model, out = make_model(), tmp_path / "out"
    adapted = draw(model)
    out.write_text("mine")
    with pytest.raises(FileError, match="out: a file of other things is there"):
        to_full(model, adapted, out, overwrite=True)
    assert out.read_text() == "mine"
    out.unlink()
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(FileError, match="out: a folder of other things is there"):
        to_full(model, adapted, out, overwrite=True)
    assert (out / "thesis.txt").read_text() == "mine"
    (out / "thesis.txt").unlink()
    to_full(model, adapted, out)  # an empty folder is no hindrance
    before = (out / "adapters.safetensors").read_bytes()
    with pytest.raises(FileError, match=r"out: an export is there.*or overwrite it"):
        to_full(model, draw(model, 1), out)
    assert (out / "adapters.safetensors").read_bytes() == before
    to_lora(model, draw(model, 1), out, overwrite=True)
    assert (out / "adapter_model.safetensors").exists()
    assert is_export(out)


def test_a_full_disk_leaves_nothing_behind(make_model, draw, tmp_path, monkeypatch):
    model, out = make_model(), tmp_path / "new" / "out"
    to_full(model, draw(model), out)
    before = (out / "adapters.safetensors").read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mlx_t2.exporting.export.write_json", full)
    with pytest.raises(FileError, match=r"out: cannot be written \(No space left on device\)"):
        to_full(model, draw(model, 1), out, overwrite=True)
    assert (out / "adapters.safetensors").read_bytes() == before
    assert list(out.parent.iterdir()) == [out]


def test_an_interrupted_export_leaves_nothing_behind(make_model, draw, tmp_path, monkeypatch):
    model = make_model()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlx_t2.exporting.export.verify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        to_full(model, draw(model), tmp_path / "new" / "out")
    assert list((tmp_path / "new").iterdir()) == []
    assert model.worn == {}


def test_a_model_whose_files_are_gone_is_refused(tiny_model, draw, tmp_path):
    with pytest.raises(ModelError, match="tiny: no such folder"):
        to_full(tiny_model, draw(tiny_model), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_export_is_found_out(make_model, draw):
    model = make_model()
    adapted = draw(model)
    layers = {path: dict(model.network.named_modules())[path] for path in model.shapes}

    def compare(exported: SVFModel):
        return verify(model, adapted, exported, layers)

    base = compare(load(model.source))
    assert (base.weights.share, base.logits.share) == (0, 0)
    assert base.largest_gap == base.largest_change > 0
    other = load(model.source)
    module = dict(other.network.named_modules())["model.layers.1.mlp.up_proj"]
    with model.using(adapted.scales):
        for path, layer in layers.items():
            dict(other.network.named_modules())[path].weight = layer.folded_weight()
    assert compare(other).least > 0.9999
    right = module.weight
    module.weight = right[::-1]
    one = compare(other)
    assert one.worst[0] == "model.layers.1.mlp.up_proj"
    assert one.least < 0.9
    module.weight = right * math.nan
    assert math.isnan(compare(other).least)
    module.weight = right
    norm = other.network.model.norm  # of no changed layer
    norm.weight = -norm.weight
    rest = compare(other)
    assert rest.weights.share > 0.9999
    assert rest.least < 0.9


def test_twice_the_change_is_a_share_of_2_and_a_correlation_of_1(make_model, draw):
    model = make_model()
    adapted = draw(model)
    layers = {path: dict(model.network.named_modules())[path] for path in model.shapes}
    other = load(model.source)
    with model.using(adapted.scales):
        for path, layer in layers.items():
            plain = effective_weight(layer.base)
            twice = 2 * layer.folded_weight() - plain
            dict(other.network.named_modules())[path].weight = twice
    verified = verify(model, adapted, other, layers)
    assert verified.weights.share == pytest.approx(2, abs=1e-4)
    assert verified.weights.correlation == pytest.approx(1, abs=1e-4)
