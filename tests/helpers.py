"""What tests share: one ruler for arrays, and a language model that is real but tiny."""

import mlx.core as mx
import numpy as np
from mlx_lm.models import llama
from mlx_lm.tokenizer_utils import TokenizerWrapper
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

TOLERANCES = {mx.float32: 1e-5, mx.bfloat16: 2e-2}
_TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }} {{ m['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<s>{% endif %}"
)


def assert_close(got, expected, tolerance: float | None = None) -> None:
    """The largest gap against the largest expected entry: entry by entry, true identities fail
    near zero.
    """
    dtype = got.dtype if isinstance(got, mx.array) else mx.float32
    got, expected = (
        np.array(a.astype(mx.float32) if isinstance(a, mx.array) else a)
        for a in (got, expected)
    )
    assert got.shape == expected.shape
    gap, scale = np.abs(got - expected).max(), np.abs(expected).max()
    assert gap <= (tolerance or TOLERANCES[dtype]) * max(scale, 1e-30), f"{gap} of {scale}"


def random_scales(shapes, seed: int = 0, spread: float = 0.3, rows: int | None = None):
    """Scales around 1 for every layer of `shapes`, one for all rows or one each."""
    keys = mx.random.split(mx.random.key(seed), len(shapes))
    lead = () if rows is None else (rows,)
    return {
        path: 1 + spread * mx.random.normal((*lead, *shape), key=key)
        for (path, shape), key in zip(shapes.items(), keys, strict=True)
    }


def tiny_network(seed: int = 0, layers: int = 2, hidden: int = 32) -> llama.Model:
    """A llama of mlx-lm's own with random weights."""
    mx.random.seed(seed)
    args = llama.ModelArgs(
        model_type="llama",
        hidden_size=hidden,
        num_hidden_layers=layers,
        intermediate_size=2 * hidden,
        num_attention_heads=4,
        num_key_value_heads=2,
        rms_norm_eps=1e-5,
        vocab_size=64,
    )
    return llama.Model(args)


def tiny_tokenizer() -> TokenizerWrapper:
    """One token a character of a small alphabet; `<end>` (2) ends an answer."""
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789 .,?!-+*/()[]:'\"_=<>\n"
    vocabulary = ["<unk>", "<s>", "<end>", *dict.fromkeys(alphabet)][:64]
    tokenizer = Tokenizer(
        models.WordLevel({t: i for i, t in enumerate(vocabulary)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="<end>"
    )
    fast.chat_template = _TEMPLATE
    return TokenizerWrapper(fast, eos_token_ids={2})
