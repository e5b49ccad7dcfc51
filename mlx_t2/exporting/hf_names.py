"""Which of mlx-lm's architectures name their linear layers as Hugging Face's transformers do:
there, PEFT and llama.cpp find the layers that an adapter speaks of. Knows names alone.
"""

from collections.abc import Iterable

import mlx.nn as nn

from mlx_t2.svf import architecture

ALIKE = frozenset(
    [
        *("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3"),
        *("starcoder2", "stablelm", "olmo2", "olmo3", "granite", "cohere", "cohere2"),
        *("smollm3", "helium", "glm", "glm4", "seed_oss", "ministral3", "nemotron", "apertus"),
    ]
)
"""Architectures of one name and one shape per linear layer, in both."""


def explain_unlike(network: nn.Module, stacks: Iterable[str]) -> str | None:
    """Why PEFT and llama.cpp cannot read the layers of this network; None where they can.

    stacks: the paths of changed layers that hold several matrices.
    """
    if found := sorted(stacks):
        return f"{found[0]} and {len(found) - 1} others are stacks of matrices"
    name = architecture(network)
    if name not in ALIKE:
        return f"{name}: its layers are not known to be called there as here"
    return None
