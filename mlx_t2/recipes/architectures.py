"""Architectures of mlx-lm that are tested, by kind, and what each may read together.

Names, separated by spaces; nothing is loaded. Tests compare these names with the tiny models
that are tested and with what a model itself shows.
"""

KINDS = {
    "dense": """
        afm7 apertus baichuan_m1 cohere cohere2 ernie4_5 exaone exaone4 gemma gemma2 gemma3
        gemma3_text gemma3n glm glm4 gpt2 gpt_bigcode gpt_neox gptj granite helium
        hunyuan_v1_dense internlm2 internlm3 iquestloopcoder lille-130m llama llama4_text
        mimo minicpm minicpm3 ministral3 mistral3 muse_glimmer nanbeige nanochat nemotron
        nemotron-nas olmo2 olmo3 openelm phi phi3 pixtral plamo plamo3 qwen qwen2 qwen2_vl
        qwen3 qwen3_vl seed_oss smollm3 spark2_5 stablelm starcoder2 talkie telechat3
        youtu_llm
    """,
    "mixture of experts": """
        afmoe bailing_moe dbrx deepseek deepseek_v2 deepseek_v41 dots1 ernie4_5_moe
        exaone_moe gemma4 gemma4_text glm4_moe gpt_oss granitemoe hunyuan Klear laguna
        llama4 mellum mimo_v2_flash minimax minimax_m3_vl mixtral olmoe phimoe phixtral
        qwen2_moe qwen3_moe qwen3_vl_moe solar_open step3p5
    """,
    "latent attention": """
        bailing_hybrid bailing_moe_v3 deepseek_v3 deepseek_v32 glm4_moe_lite glm_moe_dsa
        kimi_k25 kimi_linear kimi_vl longcat_flash longcat_flash_ngram mistral4
    """,
    "recurrent, hybrid": """
        bailing_moe_linear falcon_h1 gear granitemoehybrid jamba lfm2 lfm2-vl lfm2_moe mamba
        mamba2 nemotron_h olmo_hybrid plamo2 qwen3_5 qwen3_5_moe qwen3_next recurrent_gemma
        rwkv7
    """,
}
"""Kind → mlx-lm's names of the architectures that wear scales, each once."""

EQUAL_LENGTHS = """
    afm7 baichuan_m1 bailing_moe_linear gemma2 jamba longcat_flash_ngram mamba minimax_m3_vl
    nemotron-nas nemotron_h olmo_hybrid recurrent_gemma rwkv7
"""
"""Only prompts of equal length share a batch."""

SINGLE_ROWS = {
    "deepseek_v41": "mlx-lm has no batched cache for it",
    "gpt_bigcode": "its attention takes one row",
    "llama4": "mlx-lm has no batched cache for it",
}
"""One row at a time → why."""

UNTRIED = {
    "olmo": "needs another package",
    "phi3small": "takes no small vocabulary",
}
"""Not tested → why."""
