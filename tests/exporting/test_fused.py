"""An expert as a whole model, read as anyone reads it."""

import json
import shutil
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx_lm
import numpy as np
import pytest
from any_layer import worn_as_defined

from mlx_t2.adaptation import Fixed
from mlx_t2.errors import ConfigError
from mlx_t2.exporting import to_fused
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.models import decompose, load
from mlx_t2.sampling import SamplingConfig
from mlx_t2.svf import dense_weight

KINDS = [
    ("llama", "all"),  # one matrix a layer
    ("qwen2", "all"),  # with biases, the head tied to the embedding
    ("phi3", "all"),  # queries, keys and values in one weight; gate and up in another
    ("gemma3_text", "mlp"),
    ("qwen3_moe", "all"),  # stacks of experts
    ("deepseek_v3", "all"),  # and a stack of attention heads
    ("lfm2", "all"),  # a mixer of its own
]


def layers_of(folder):
    network, _ = mlx_lm.load(str(folder))
    return dict(network.named_modules())


@pytest.mark.parametrize(("architecture", "targets"), KINDS)
def test_at_32_bits_the_weights_are_those_of_a_float64_svd(
    make_model, draw, tmp_path, architecture, targets, heads_wear_scales
):
    model = make_model(architecture, targets=targets)
    adapted = draw(model)
    done = to_fused(model, adapted, tmp_path / "out", bits=32)
    written = layers_of(done.path)
    base = dict(model.network.named_modules())
    for path, z in adapted.scales.items():
        weight = dense_weight(base[path].base)
        expected = worn_as_defined(weight, z)
        gap = np.abs(np.array(dense_weight(written[path])) - expected).max()
        assert gap <= 1e-4 * np.abs(expected).max()
    assert done.verified.largest_gap <= 1e-3 * done.verified.largest_change
    assert done.verified.least > 0.999


@pytest.mark.parametrize("bits", [None, 4])
def test_mlx_lm_writes_what_the_live_expert_writes(make_model, draw, tmp_path, bits):
    model = make_model(bits=bits, targets="all")
    adapted = draw(model)
    done = to_fused(model, adapted, tmp_path / "out", bits=32)
    network, tokenizer = mlx_lm.load(str(done.path))
    ids = model.encode([{"role": "user", "content": "3, 8, 5"}])
    text = mlx_lm.generate(network, tokenizer, ids, max_tokens=12)
    assert text == write(model, Fixed("drawn", adapted))
    assert text != write(model, Fixed.base())


def write(model, strategy) -> str:
    config = SamplingConfig(temperature=0, max_tokens=12)
    return AdaptiveGenerator(model, strategy).ask("3, 8, 5", config).text


def test_of_a_quantised_base_only_what_changes_is_dequantised(make_model, draw, tmp_path):
    model = make_model(bits=4)
    done = to_fused(model, draw(model), tmp_path / "out")
    before, after = layers_of(model.source), layers_of(done.path)
    assert {type(after[path]) for path in model.shapes} == {nn.Linear}
    untouched = "model.layers.0.self_attn.q_proj"
    assert isinstance(after[untouched], nn.QuantizedLinear)
    assert mx.array_equal(after[untouched].weight, before[untouched].weight)
    config = json.loads((done.path / "config.json").read_text())
    assert (config["quantization"]["bits"], config["quantization"]["group_size"]) == (4, 32)
    assert config["quantization"] == config["quantization_config"]
    assert done.verified.weights.correlation > 0.99


@pytest.mark.parametrize("bits", [32, 16])
def test_dequantised_in_whole_nothing_speaks_of_quantisation(make_model, draw, tmp_path, bits):
    model = make_model(bits=4)
    done = to_fused(model, draw(model), tmp_path / "out", bits=bits, dequantize=True)
    weights = mx.load(str(done.path / "model.safetensors"))
    expected = mx.float32 if bits == 32 else mx.bfloat16
    assert {array.dtype for array in weights.values()} == {expected}
    assert not any(name.endswith((".scales", ".biases")) for name in weights)
    assert "quantiz" not in (done.path / "config.json").read_text()


def test_8_bits_round_the_changed_weights_and_leave_the_others(make_model, draw, tmp_path):
    model = make_model(bits=4)
    done = to_fused(model, draw(model), tmp_path / "out", bits=8)
    after = layers_of(done.path)
    assert {after[path].bits for path in model.shapes} == {8}
    assert after["model.layers.0.self_attn.q_proj"].bits == 4
    assert done.verified.least > 0.97


def test_8_bits_round_a_base_without_quantisation_in_whole(make_model, draw, tmp_path):
    model = make_model()
    done = to_fused(model, draw(model), tmp_path / "out", bits=8)
    after = layers_of(done.path)
    assert after["model.layers.0.self_attn.q_proj"].bits == 8
    assert {after[path].bits for path in model.shapes} == {8}
    assert done.verified.least > 0.97


def test_16_bits_are_what_a_base_of_16_bits_computes_in(make_model, draw, tmp_path):
    model = make_model()
    folder = tmp_path / "half"
    shutil.copytree(model.source, folder)
    weights = mx.load(str(folder / "model.safetensors"))
    half = {name: array.astype(mx.float16) for name, array in weights.items()}
    half["model.norm.weight"] = weights["model.norm.weight"]  # one that is kept wider
    mx.save_safetensors(str(folder / "model.safetensors"), half, {"format": "mlx"})
    model = decompose(load(str(folder)))
    done = to_fused(model, draw(model), tmp_path / "out")
    written = mx.load(str(done.path / "model.safetensors"))
    for name, array in half.items():
        assert written[name].dtype == array.dtype
        if name.rpartition(".")[0] not in model.shapes:
            assert mx.array_equal(written[name], array)


def test_4_bits_have_to_be_forced(make_model, draw, tmp_path):
    model = make_model()
    for bits in (4, 5, 64):
        with pytest.raises(ConfigError, match=f"bits: got {bits}, expected 32, 16 or 8"):
            to_fused(model, draw(model), tmp_path / "out", bits=bits)
    with pytest.raises(ConfigError, match="got 8, expected 32 or 16 where all is deq"):
        to_fused(model, draw(model), tmp_path / "out", bits=8, dequantize=True)
    done = to_fused(model, draw(model), tmp_path / "out", bits=4, force=True)
    assert layers_of(done.path)["model.layers.1.mlp.up_proj"].bits == 4
    with pytest.raises(ConfigError, match="bits: got 3"):
        to_fused(model, draw(model), tmp_path / "three", bits=3, force=True)


def test_what_keeps_too_little_is_refused_and_leaves_nothing(make_model, draw, tmp_path):
    model = make_model()
    faint = draw(model, spread=0.005)
    with pytest.raises(ConfigError, match=r"(?s)fused: got share .*expected 0.9.*--bits 16"):
        to_fused(model, faint, tmp_path / "new" / "out", bits=8)
    assert list((tmp_path / "new").iterdir()) == []
    assert to_fused(model, faint, tmp_path / "out", bits=8, force=True).verified.least < 0.9


def test_tokenizer_template_and_licence_are_copied_byte_for_byte(make_model, draw, tmp_path):
    model = make_model()
    base = Path(model.source)
    for name in ("LICENSE", "generation_config.json", "tokenizer.model", "merges.txt"):
        (base / name).write_text('{"eos_token_id": 2}')
    for name in ("README.md", "adapter_config.json", "hf_quant_config.json", "notes.pkl"):
        (base / name).write_text("{}")
    to_fused(model, draw(model), tmp_path / "out", overwrite=True)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    copied = {"LICENSE", "generation_config.json", "tokenizer.model", "merges.txt"}
    copied |= {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    own = {"config.json", "model.safetensors", "model.safetensors.index.json", "mlx_t2.json"}
    assert written == copied | own
    for name in copied:
        assert (tmp_path / "out" / name).read_bytes() == (base / name).read_bytes()


def test_a_large_model_is_written_in_several_files(make_model, draw, tmp_path, monkeypatch):
    def one_each(weights):
        return [{name: array} for name, array in weights.items()]

    monkeypatch.setattr("mlx_lm.utils.make_shards", one_each)
    model = make_model()
    done = to_fused(model, draw(model), tmp_path / "out", bits=32)
    index = json.loads((done.path / "model.safetensors.index.json").read_text())
    files = sorted(path.name for path in done.path.glob("model-*.safetensors"))
    assert len(files) > 10
    assert sorted(set(index["weight_map"].values())) == files
    assert done.verified.least > 0.999


def test_the_dtype_in_the_settings_is_that_of_the_weights(make_model, draw, tmp_path):
    model = make_model()
    path = Path(model.source) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"torch_dtype": "float32"}))
    done = to_fused(model, draw(model), tmp_path / "out")
    assert json.loads((done.path / "config.json").read_text())["torch_dtype"] == "bfloat16"
