"""An expert as the changed weights alone, read by mlx-lm's `--adapter-path`."""

import json

import mlx.core as mx
import mlx_lm
import pytest
from helpers import assert_close

from mlx_t2.adaptation import Fixed
from mlx_t2.errors import ConfigError
from mlx_t2.exporting import to_full
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.sampling import SamplingConfig


def test_it_holds_the_changed_weights_alone_and_they_are_exact(make_model, draw, tmp_path):
    model = make_model()
    adapted = draw(model)
    done = to_full(model, adapted, tmp_path / "out")
    tensors = mx.load(str(done.path / "adapters.safetensors"))
    assert tensors.keys() == {f"{path}.weight" for path in model.shapes}
    modules = dict(model.network.named_modules())
    with model.using(adapted.scales):
        for path in model.shapes:
            assert_close(tensors[f"{path}.weight"], modules[path].folded_weight())
    assert done.verified.least > 0.99999
    config = json.loads((done.path / "adapter_config.json").read_text())
    assert config["fine_tune_type"] == "full"


@pytest.mark.parametrize("architecture", ["llama", "phi3", "qwen3_moe", "deepseek_v3"])
def test_mlx_lm_writes_what_the_live_expert_writes(
    make_model, draw, tmp_path, architecture, heads_wear_scales
):
    model = make_model(architecture, targets="all")
    adapted = draw(model)
    done = to_full(model, adapted, tmp_path / "out")
    network, tokenizer = mlx_lm.load(model.source, adapter_path=str(done.path))
    ids = model.encode([{"role": "user", "content": "3, 8, 5"}])
    text = mlx_lm.generate(network, tokenizer, ids, max_tokens=12)
    config = SamplingConfig(temperature=0, max_tokens=12)
    live = AdaptiveGenerator(model, Fixed("drawn", adapted)).ask("3, 8, 5", config)
    assert text == live.text


def test_a_base_of_8_bits_takes_weights_of_8_bits(make_model, draw, tmp_path):
    model = make_model(bits=8)
    done = to_full(model, draw(model), tmp_path / "out")
    tensors = mx.load(str(done.path / "adapters.safetensors"))
    parts = ("weight", "scales", "biases")
    assert tensors.keys() == {f"{path}.{part}" for path in model.shapes for part in parts}
    assert done.verified.least > 0.97


def test_a_base_of_4_bits_is_refused_with_a_way_out(make_model, draw, tmp_path):
    model = make_model(bits=4)
    faint = draw(model, spread=0.05)
    with pytest.raises(ConfigError, match=r"full: got share .* 0.9 or more.*Use fused"):
        to_full(model, faint, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_quantisation_with_a_scale_of_the_whole_matrix_is_refused(
    make_model, draw, tmp_path, monkeypatch
):
    model = make_model(bits=4)
    adapted = draw(model)
    from mlx_t2.exporting.base import FileForm

    plain = FileForm.layer

    def scaled(base, path):
        layer = plain(base, path)
        layer.global_scale = mx.array(1.0)
        return layer

    monkeypatch.setattr(FileForm, "layer", scaled)
    with pytest.raises(ConfigError, match=r"mlp\.down_proj: its quantisation has a scale of"):
        to_full(model, adapted, tmp_path / "out")
