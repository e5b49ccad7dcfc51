"""Thoughts beside what is said: the same, however the text is cut into pieces."""

import pytest
from helpers import tiny_tokenizer
from orders import ask as ask_engine
from orders import order, serving
from serving.driver import build, chat
from serving.fake_backend import FakeBackend

from mlx_t2.serving import Tags
from mlx_t2.serving.thinking import ThinkSplit
from mlx_t2.serving.token_text import TokenTexts

TAGS, OPEN = Tags("<think>", "</think>"), Tags("<think>", "</think>", is_open=True)
TEXTS = [
    (TAGS, "<think>\nIs it 4?\n\nNo.\n</think>\n\nIt is 5.\n", "Is it 4?\n\nNo.", "It is 5.\n"),
    (TAGS, "\n <think>a</think>b", "a", "b"),
    (TAGS, "<think>\n\n</think>\n\nb", "", "b"),
    (TAGS, "no <think>a</think>b", "", "no <think>a</think>b"),
    (TAGS, "<think>a < b </thin </think>c</think>", "a < b </thin", "c</think>"),
    (TAGS, "<thin", "", "<thin"),
    (TAGS, " <b>", "", " <b>"),
    (TAGS, "<think>a\nb", "a\nb", ""),
    (TAGS, "<think>a</think", "a</think", ""),
    (TAGS, "<think>", "", ""),
    (TAGS, "", "", ""),
    (OPEN, "\nIs it?\n</think>\n\nYes.", "Is it?", "Yes."),
    (OPEN, "Is it", "Is it", ""),
    (OPEN, "</think>Yes", "", "Yes"),
    (None, "<think>a</think>b", "", "<think>a</think>b"),
]


@pytest.mark.parametrize(("tags", "text", "thought", "said"), TEXTS)
def test_every_cut_of_a_text_gives_one_result(tags, text, thought, said):
    for size in range(1, max(2, len(text) + 1)):
        split, got = ThinkSplit(tags), []
        pieces = [text[at : at + size] for at in range(0, len(text), size)] or [""]
        for piece in pieces:
            got.append(split.feed(piece))
        got.append(split.feed("", is_last=True))
        assert "".join(a for a, _ in got) == thought
        assert "".join(b for _, b in got) == said


def test_no_more_is_held_back_than_may_become_a_tag():
    split = ThinkSplit(TAGS)
    texts = ("<thi", "nk>a", " b\n", "c", "<", "/", "x </think", ">", "\n", "d", "<think>")
    assert [split.feed(text) for text in texts] == [
        *[("", ""), ("a", ""), (" b", ""), ("\nc", ""), ("", ""), ("", ""), ("</x", "")],
        *[("", ""), ("", ""), ("", "d"), ("", "<think>")],
    ]


# Over HTTP


def answer(words, tags, **fields):
    """(deltas of a stream, the whole message) of a model that says this."""
    split = fields.pop("splits_thoughts", True)
    app = build(FakeBackend(words=words, tags=tags), splits_thoughts=split)
    (choice,) = chat(app, **fields).json["choices"]
    chunks = chat(app, stream=True, **fields).chunks
    return [chunk["choices"][0]["delta"] for chunk in chunks], choice["message"]


def test_thoughts_are_a_field_of_their_own():
    words = ("<th", "ink>\nHm", "m\n</think>", "\n\nYes", ".", "")
    deltas, message = answer(words, TAGS)
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm"},
        {"reasoning_content": "m"},
        {"content": "Yes"},
        {"content": "."},
        {},
    ]
    assert message["reasoning_content"] == "Hmm"
    assert message["content"] == "Yes."


def test_an_answer_that_ends_within_its_thoughts_says_nothing():
    deltas, message = answer(("Is it", " so</th"), OPEN, max_tokens=9)
    assert deltas[1:] == [
        {"reasoning_content": "Is it"},
        {"reasoning_content": " so"},
        {"reasoning_content": "</th"},
        {},
    ] or deltas[1:] == [
        {"reasoning_content": "Is it"},
        {"reasoning_content": " so</th"},
        {},
    ]
    assert (message["reasoning_content"], message["content"]) == ("Is it so</th", "")


def test_a_model_that_does_not_think_has_no_such_field():
    for tags in (TAGS, None):
        deltas, message = answer(("Yes", "."), tags)
        assert [delta.get("content") for delta in deltas] == ["", "Yes", ".", None]
        assert "reasoning_content" not in message


def test_thoughts_stay_where_they_are_when_asked():
    words = ("<think>Hm</think>", "Yes")
    deltas, message = answer(words, TAGS, splits_thoughts=False)
    assert [delta.get("content") for delta in deltas] == ["", *words, None]
    assert message["content"] == "<think>Hm</think>Yes"
    assert "reasoning_content" not in message


def test_scores_are_of_every_token_of_thoughts_and_answer():
    app = build(FakeBackend(words=("<think>", "a", "</think>", "b"), tags=TAGS))
    (choice,) = chat(app, logprobs=True).json["choices"]
    whole = [one["token"] for one in choice["logprobs"]["content"]]
    chunks = [c["choices"][0] for c in chat(app, logprobs=True, stream=True).chunks]
    streamed = [
        one["token"] for c in chunks if c["logprobs"] for one in c["logprobs"]["content"]
    ]
    assert whole == streamed == ["<think>", "a", "</think>", "b"]


@pytest.mark.parametrize(("may_think", "status"), [(False, 200), (True, 400)])
def test_a_model_that_thinks_cannot_be_told_not_to(may_think, status):
    answered = chat(build(FakeBackend(may_think=may_think)), reasoning_effort="none")
    assert answered.status == status
    if may_think:
        assert answered.json["error"]["param"] == "reasoning_effort"


# What a tokenizer and its template say


def template_of(tail: str):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "<s>{% endif %}", f"{tail}{{% endif %}}"
    )
    return tokenizer


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("<s>", None),
        ("<s><think>\n", OPEN),
        ("<s><think>", OPEN),
        ("<s><think>\n\n</think>\n\n", TAGS),
        ("<s>{# <think> in the history is left out #}", TAGS),
    ],
)
@pytest.mark.parametrize("text", ["hello", "what is <think>"])
def test_a_template_says_whether_the_answer_begins_with_thoughts(tail, expected, text):
    tokenizer = template_of(tail)
    messages = [{"role": "user", "content": text}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    assert TokenTexts(tokenizer).find_tags(prompt) == expected


@pytest.mark.parametrize("is_special", [False, True])
def test_tags_that_no_text_shows_split_nothing(is_special):
    from mlx_lm.tokenizer_utils import TokenizerWrapper

    fast = tiny_tokenizer()._tokenizer
    fast.add_tokens(["<think>", "</think>"], special_tokens=is_special)
    tokenizer = TokenizerWrapper(fast)
    assert tokenizer.has_thinking
    prompt = tokenizer.encode("a<think>\n")
    assert TokenTexts(tokenizer).find_tags(prompt) == (None if is_special else OPEN)


def test_the_engine_says_it_of_conversations_alone(tiny_model):
    tiny_model.tokenizer.chat_template = template_of("<s><think>").chat_template
    with serving(tiny_model) as engine:
        assert engine.may_think
        assert ask_engine(engine, order(max_tokens=1)).started.tags == OPEN
        assert ask_engine(engine, order(text="a<think>", max_tokens=1)).started.tags is None
