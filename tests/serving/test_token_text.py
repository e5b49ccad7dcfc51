"""The bytes of single tokens, for tokenizers of each kind."""

import pytest
from helpers import tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from mlx_t2.reading import Scored
from mlx_t2.serving.token_text import TokenTexts

TEXT = "It is a café — naïve! 😀 日本語\n"


def of_bytes() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=270,
        initial_alphabet=alphabet,
        special_tokens=["<|end|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(["It is a naïve café — of all things"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")


def of_pieces() -> PreTrainedTokenizerFast:
    names = ["<unk>", "</s>", "▁It", "▁is", "▁a", "a", *(f"<0x{b:02X}>" for b in range(256))]
    model = models.BPE({name: i for i, name in enumerate(names)}, [], byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


def test_bytes_of_a_byte_level_tokenizer_join_to_the_text():
    tokenizer = of_bytes()
    texts = TokenTexts(tokenizer)
    ids = tokenizer.encode(TEXT)
    assert b"".join(map(texts.raw, ids)).decode() == TEXT
    halves = [texts.show(one) for one in ids if not texts.raw(one).isascii()]
    assert any("\ufffd" in half for half in halves)
    assert texts.raw(tokenizer.eos_token_id) == b"<|end|>"


def test_bytes_of_a_tokenizer_of_pieces_join_to_the_text():
    texts = TokenTexts(of_pieces())
    ids = [2, 3, 4, *(6 + byte for byte in "é".encode())]
    assert b"".join(map(texts.raw, ids)).decode() == " It is aé"
    assert [texts.show(one) for one in ids[-2:]] == ["\ufffd", "\ufffd"]
    assert texts.raw(1) == b"</s>"


def test_words_are_what_they_decode_to():
    tokenizer = tiny_tokenizer()
    texts = TokenTexts(tokenizer)
    assert [texts.show(one) for one in tokenizer.encode("a b")] == ["a", " ", "b"]


@pytest.mark.parametrize("make", [of_bytes, of_pieces, tiny_tokenizer])
def test_a_row_of_the_embedding_without_a_token_is_empty(make):
    assert TokenTexts(make()).raw(100_000) in (b"", b"<unk>")


def test_a_score_is_shown_with_those_that_were_more_probable():
    tokenizer = tiny_tokenizer()
    a, b = tokenizer.encode("ab")
    shown = TokenTexts(tokenizer).describe(a, Scored(-2.0, ((b, -0.5), (a, -2.0))))
    assert (shown.id, shown.text, shown.raw, shown.logprob) == (a, "a", b"a", -2.0)
    assert shown.top == (("b", b"b", -0.5), ("a", b"a", -2.0))


@pytest.mark.parametrize("make", [of_bytes, of_pieces, tiny_tokenizer])
def test_no_token_is_longer_than_the_longest(make):
    tokenizer = make()
    texts = TokenTexts(tokenizer)
    longest = max(len(texts.show(token)) for token in tokenizer.get_vocab().values())
    assert longest <= texts.longest <= 7
    assert TokenTexts(object()).longest == 0
