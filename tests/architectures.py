"""Tiny random models of mlx-lm's architectures, for tests.

An architecture's settings are the fields of its `ModelArgs` that `COMMON` names, then what
`ARCHITECTURES` says of it. The settings are chosen so that every kind of layer an architecture
has comes up: a sliding and a full window, a dense and a sparse feed-forward part, a mixer and
an attention.
"""

import copy
import dataclasses
import importlib
import random
from collections.abc import Iterable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_map_with_path

SLIDING, FULL = "sliding_attention", "full_attention"


def _all(value: Any, names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), value)


COMMON: dict[str, Any] = {
    "model_type": "tiny",
    # sizes; what a linear layer reads is a multiple of 32, so that it can be quantised
    **_all(32, "hidden_size hidden_dim d_model model_dim n_embd block_dim"),
    **_all(64, "vocab_size num_vocab vocab_size_per_layer_input"),
    **_all(64, "intermediate_size n_inner ffn_hidden_size ff_intermediate_size"),
    **_all(64, "intermediate_size_mlp dense_intermediate_size"),
    **_all(2, "num_hidden_layers num_layers n_layer n_layers num_transformer_layers"),
    **_all(128, "max_position_embeddings n_positions n_ctx block_size model_max_length"),
    # attention
    **_all(4, "num_attention_heads num_heads n_head n_heads swa_num_attention_heads"),
    **_all(2, "num_key_value_heads num_kv_heads n_kv_heads swa_num_key_value_heads"),
    **_all(2, "num_attention_groups n_shared_head index_n_heads num_global_key_value_heads"),
    **_all(8, "head_dim global_head_dim swa_head_dim kv_channels hidden_size_per_head"),
    **_all(8, "v_head_dim swa_v_head_dim qk_rope_head_dim query_pre_attn_scalar"),
    **_all(32, "kv_lora_rank q_lora_rank o_lora_rank qk_nope_head_dim index_head_dim"),
    **_all(8, "sliding_window sliding_window_size attention_window_size attention_chunk_size"),
    **_all(2, "sliding_window_pattern full_attention_interval layer_group_size"),
    "layer_types": [SLIDING, FULL],
    **_all(True, "use_qk_norm qk_norm use_sliding_window"),
    # rotations
    **_all(10000.0, "rope_theta swa_rope_theta rope_local_base_freq rotary_emb_base"),
    **_all(0.5, "partial_rotary_factor rotary_pct"),
    "rotary_dim": 4,
    "rope_scaling": None,
    # norms, biases, multipliers
    **_all(1e-5, "rms_norm_eps norm_eps layer_norm_eps layer_norm_epsilon layernorm_epsilon"),
    **_all(1e-5, "norm_epsilon post_norm_eps"),
    **_all(False, "tie_word_embeddings attention_bias mlp_bias bias use_bias use_qkv_bias"),
    **_all(False, "qkv_bias conv_bias mamba_proj_bias post_norm router_bias"),
    **_all(True, "use_conv_bias mamba_conv_bias use_expert_bias"),
    **_all(2.0, "embedding_multiplier logits_scaling scale_emb"),
    **_all(0.5, "attention_multiplier residual_multiplier"),
    **_all(30.0, "logits_soft_cap final_logit_softcapping"),
    "dim_model_base": 16,
    "scale_depth": 1.4,
    # experts
    **_all(4, "num_experts num_local_experts n_routed_experts moe_num_experts"),
    **_all(2, "num_experts_per_tok num_experts_per_token top_k_experts"),
    **_all(2, "moe_k moe_topk moe_top_k"),
    **_all(32, "moe_intermediate_size expert_ffn_hidden_size share_expert_dim"),
    **_all(32, "shared_intermediate_size shared_expert_intermediate_size"),
    **_all(32, "moe_shared_expert_intermediate_size"),
    **_all(1, "n_shared_experts num_shared_experts num_shared_expert moe_num_shared_experts"),
    **_all(1, "n_group topk_group first_k_dense_replace num_dense_layers moe_layer_freq"),
    **_all(1, "decoder_sparse_step moe_layer_start_index"),
    **_all(1.0, "routed_scaling_factor"),
    **_all(True, "norm_topk_prob"),
    **_all("sigmoid", "scoring_func"),
    **_all("noaux_tc", "topk_method"),
    "mlp_only_layers": [],
    # recurrences
    **_all(4, "conv_kernel linear_conv_kernel_dim mamba_d_conv conv1d_width conv_L_cache"),
    **_all(4, "linear_num_value_heads mamba_n_heads mamba_num_heads time_step_rank"),
    **_all(2, "linear_num_key_heads group_norm_size"),
    **_all(8, "linear_key_head_dim linear_value_head_dim mamba_d_head mamba_head_dim"),
    **_all(8, "state_size ssm_state_size mamba_d_state"),
    **_all(1, "n_groups mamba_n_groups"),
    **_all(32, "a_low_rank_dim v_low_rank_dim gate_low_rank_dim decay_low_rank_dim"),
    "time_step_limit": (0.001, 100.0),
    "linear_attn_config": {
        "kda_layers": [1],
        "full_attn_layers": [2],
        "num_heads": 4,
        "head_dim": 8,
        "short_conv_kernel_size": 4,
    },
}

TIED = {"tie_word_embeddings": True}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
ROPE_BY_LAYER = {"rope_parameters": {SLIDING: ROPE, FULL: ROPE}}
SCALED_ROPE = {"llama_4_scaling_beta": 0.1, "original_max_position_embeddings": 8}
YARN = {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64}
LFM2 = {
    "layer_types": ["conv", FULL],
    "block_multiple_of": 32,
    "block_ffn_dim_multiplier": 1.0,
    "block_auto_adjust_ff_dim": False,
}
GEMMA4 = {
    "num_hidden_layers": 4,
    "layer_types": [SLIDING, FULL] * 2,
    "num_kv_shared_layers": 2,
    "hidden_size_per_layer_input": 32,
    "global_head_dim": 16,
    "enable_moe_block": True,
}


def _text(**settings: Any) -> dict[str, Any]:
    return {"text_config": COMMON | settings}


ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Klear": {},
    "afm7": {"num_kv_reuse_layers": 1, "hidden_dim_scale_factor": 2.0},
    "afmoe": {"num_dense_layers": 1},
    "apertus": {},
    "baichuan_m1": {"sliding_window_layers": [0], "conv_window": 2},
    "bailing_hybrid": {},
    "bailing_moe": {},
    "bailing_moe_linear": {},
    "bailing_moe_v3": {},
    "cohere": {},
    "cohere2": {},
    "dbrx": {
        "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2},
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10000.0},
    },
    "deepseek": {},
    "deepseek_v2": {"rope_scaling": YARN, "topk_method": "greedy"},
    "deepseek_v3": {},
    "deepseek_v32": {"index_topk": 4},
    "deepseek_v41": {
        "head_dim": 32,
        "o_groups": 2,
        "hc_mult": 2,
        "hc_sinkhorn_iters": 4,
        "compress_ratios": (1, 2),
        "kv_source_layer_ids": (0, 1),
        "index_source_layer_ids": (0, 1),
        "index_topk": 4,
        "scoring_func": "sqrtsoftplus",
    },
    "dots1": {},
    "ernie4_5": TIED,
    "ernie4_5_moe": {},
    "exaone": {},
    "exaone4": TIED | {"sliding_window_pattern": "LG"},
    "exaone_moe": {"is_moe_layer": [False, True]},
    "falcon_h1": {"mamba_d_ssm": 32},
    "gear": {"layer_types": [SLIDING, "conv_mixer", FULL], "num_hidden_layers": 3},
    "gemma": {},
    "gemma2": {},
    "gemma3": _text(),
    "gemma3_text": {},
    "gemma3n": _text(
        num_hidden_layers=4,
        layer_types=[SLIDING, FULL] * 2,
        num_kv_shared_layers=2,
        activation_sparsity_pattern=[0.5, 0.0, 0.0, 0.0],
        hidden_size_per_layer_input=32,
        altup_num_inputs=2,
        altup_coef_clip=120.0,
        altup_correct_scale=True,
        altup_active_idx=0,
        laurel_rank=32,
    ),
    "gemma4": _text(**GEMMA4),
    "gemma4_text": GEMMA4,
    "glm": TIED,
    "glm4": {},
    "glm4_moe": {},
    "glm4_moe_lite": {},
    "glm_moe_dsa": {"rope_parameters": ROPE, "index_topk": 4},
    "gpt2": {},
    "gpt_bigcode": {},
    "gpt_neox": {},
    "gpt_oss": {},
    "gptj": {},
    "granite": TIED,
    "granitemoe": {},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "helium": {},
    "hunyuan": {
        "use_mixed_mlp_moe": True,
        "use_cla": True,
        "cla_share_factor": 2,
        "rope_scaling": {"type": "dynamic", "factor": 1.0, "alpha": 10.0},
    },
    "hunyuan_v1_dense": {},
    "internlm2": {},
    "internlm3": {},
    "iquestloopcoder": {},
    "jamba": {
        "attn_layer_offset": 1,
        "attn_layer_period": 2,
        "expert_layer_offset": 1,
        "expert_layer_period": 2,
        "mamba_expand": 2,
    },
    "kimi_k25": _text(),
    "kimi_k3": _text(
        attn_res_block_size=1, mla_use_output_gate=True, routed_expert_hidden_size=32
    ),
    "kimi_linear": {},
    "kimi_vl": _text(),
    "laguna": {},
    "lfm2": LFM2,
    "lfm2-vl": _text(**LFM2),
    "lfm2_moe": {"layer_types": ["conv", FULL]},
    "lille-130m": {"n_embd": 64},
    "llama": TIED | {"layer_types": None},
    "llama4": _text(num_hidden_layers=4, interleave_moe_layer_step=2, num_experts_per_tok=1),
    "llama4_text": {"no_rope_layers": [1, 0]},
    "longcat_flash": {
        "attention_method": "MLA",
        "zero_expert_type": "identity",
        "zero_expert_num": 2,
        "mla_scale_q_lora": True,
        "mla_scale_kv_lora": True,
    },
    "longcat_flash_ngram": {
        "zero_expert_num": 2,
        "mla_scale_q_lora": True,
        "mla_scale_kv_lora": True,
        "ngram_vocab_size_ratio": 2,
        "emb_neighbor_num": 3,
        "emb_split_num": 2,
    },
    "mamba": {},
    "mamba2": {},
    "mellum": ROPE_BY_LAYER,
    "mimo": {},
    "mimo_v2_flash": {
        "hybrid_layer_pattern": [1, 0],
        "moe_layer_freq": [0, 1],
        "add_swa_attention_sink_bias": True,
        "add_full_attention_sink_bias": False,
    },
    "minicpm": {},
    "minicpm3": {"rope_scaling": {"original_max_position_embeddings": 128}},
    "minimax": {},
    "minimax_m3_vl": _text(
        layer_types=[FULL, SLIDING],
        mlp_layer_types=["dense", "sparse"],
        index_block_size=2,
        index_topk_blocks=2,
    ),
    "ministral3": {"rope_parameters": ROPE | SCALED_ROPE},
    "mistral3": _text(layer_types=None),
    "mistral4": {"rope_parameters": ROPE | SCALED_ROPE},
    "mixtral": {},
    "muse_glimmer": {},
    "nanbeige": {"num_loops": 2},
    "nanochat": {},
    "nemotron": {"hidden_act": "relu2"},
    "nemotron-nas": {
        "num_hidden_layers": 3,
        "block_configs": [
            {"attention": {"n_heads_in_group": 2}, "ffn": {"ffn_mult": 2.0}},
            {"attention": {"replace_with_linear": True}, "ffn": {"no_op": True}},
            {"attention": {"no_op": True}, "ffn": {"replace_with_linear": True}},
        ],
    },
    "nemotron_h": {"hybrid_override_pattern": list("M*-E"), "moe_latent_size": 32},
    "olmo2": {},
    "olmo3": {},
    "olmo_hybrid": {
        "layer_types": ["linear_attention", FULL],
        "linear_allow_neg_eigval": True,
    },
    "olmoe": {},
    "openelm": {
        "num_query_heads": [4, 4],
        "num_kv_heads": [2, 2],
        "ffn_multipliers": [1.0, 2.0],
        "ffn_dim_divisor": 32,
    },
    "phi": {},
    "phi3": {},
    "phimoe": {},
    "phixtral": {},
    "pixtral": _text(layer_types=None),
    "plamo": {},
    "plamo2": {},
    "plamo3": {},
    "qwen": {},
    "qwen2": TIED,
    "qwen2_moe": {},
    "qwen2_vl": _text(),
    "qwen3": TIED,
    "qwen3_5": _text(num_experts=0),
    "qwen3_5_moe": _text(),
    "qwen3_moe": {},
    "qwen3_next": {},
    "qwen3_vl": _text(),
    "qwen3_vl_moe": _text(),
    "recurrent_gemma": {"block_types": ["recurrent", "attention"]},
    "rwkv7": {},
    "seed_oss": {},
    "smollm3": TIED,
    "solar_open": {},
    "spark2_5": ROPE_BY_LAYER,
    "stablelm": {},
    "starcoder2": TIED,
    "step3p5": {"moe_layers_enum": "1"},
    "talkie": {},
    "telechat3": {},
    "youtu_llm": {},
}

_CORNERS = (
    *("llama", "gemma2", "gemma3_text", "gemma3n", "gemma4_text", "gpt2", "gpt_oss", "phi3"),
    *("qwen3_moe", "qwen3_next", "mixtral", "phixtral", "deepseek_v2", "deepseek_v32", "dbrx"),
    *("mamba", "mamba2", "jamba", "falcon_h1", "nemotron_h", "plamo2", "lfm2", "kimi_linear"),
    *("rwkv7", "recurrent_gemma", "longcat_flash", "hunyuan", "llama4", "minimax", "step3p5"),
)
"""One for every kind of layer, of cache and of mixture."""

UNBUILT: dict[str, str] = {
    "bitnet": "its ternary layers have a Metal kernel only",
    "muse_spark": "its feed-forward and attention kernels are Metal only",
    "olmo": "needs the package ai2-olmo",
    "phi3small": "writes -inf at fixed token ids near 100 000: no small vocabulary",
    "prism_hadamard_qwen35": "a packed 2-bit checkpoint format, with no float layers",
}


def some(architectures: Iterable[str], others: int = 8) -> list:
    """All of them for a test's parameter; the corners and `others` more, drawn once for all,
    are tried in every run, the rest where slow tests are.
    """
    names = sorted(architectures)
    rest = [name for name in names if name not in _CORNERS]
    tried = {*_CORNERS, *random.Random(0).sample(rest, min(others, len(rest)))}
    return [pytest.param(n, marks=[pytest.mark.slow] * (n not in tried)) for n in names]


def settings_of(architecture: str) -> dict[str, Any]:
    """What its `config.json` would say, with tokens of `helpers.tiny_tokenizer`."""
    tokens = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    return _settings(architecture) | tokens | {"model_type": architecture}


def _settings(architecture: str) -> dict[str, Any]:
    module = importlib.import_module(f"mlx_lm.models.{architecture}")
    names = {field.name for field in dataclasses.fields(module.ModelArgs)}
    settings = {name: value for name, value in COMMON.items() if name in names}
    return copy.deepcopy(settings | ARCHITECTURES[architecture])


def tiny(architecture: str, seed: int = 0) -> nn.Module:
    """A random model of that architecture, float32, eval mode, parameters evaluated."""
    module = importlib.import_module(f"mlx_lm.models.{architecture}")
    mx.random.seed(seed)
    model = module.Model(module.ModelArgs(**_settings(architecture)))

    def awake(name: str, parameter: mx.array) -> mx.array:
        """Equal entries, such as a router's or a scale's zeros, would pass no signal on; what
        MLX draws for a linear layer would pass on half of it."""
        if parameter.size == 1:
            return parameter
        if mx.var(parameter).item() == 0:
            return parameter + 0.2 * mx.random.normal(parameter.shape)
        matrix = parameter.ndim > 1 and name.endswith("weight")
        return 2 * parameter if matrix else parameter

    model.update(tree_map_with_path(awake, model.parameters()))
    model.eval()
    mx.eval(model.parameters())
    return model
