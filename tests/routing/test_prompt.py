"""The prompt router against one plain forward pass for each category."""

import itertools

import mlx.core as mx
import pytest
from helpers import assert_close

from mlx_t2.errors import ConfigError
from mlx_t2.reading import base_readings, logprobs
from mlx_t2.routing import Category, PromptRouter, Router, prompt
from mlx_t2.routing.prompt import category_lines, talk_lines

KNOWN = {
    "largest": Category("the largest of three numbers", ("31, 52, 47", "84, 17, 74")),
    "expression": Category("", ("the sum of the list xs",)),
    "kind": Category(),
}
LABELS = ("expression", "kind", "largest", "other")
EXAMPLES = [
    {"role": "user", "content": "the item first of list q"},
    {"role": "assistant", "content": "q[0]"},
]
QUESTIONS = ["7, 4, 9", "the length of the list ages", "my old plum"]
CHATS = [[*EXAMPLES, {"role": "user", "content": question}] for question in QUESTIONS]


def naive_score(model, lines, question):
    """One full forward pass: the mean of log π over the question's tokens."""

    def encode(text):
        return model.tokenizer.encode(text, add_special_tokens=False)

    prompt = [model.tokenizer.bos_token_id, *encode("".join(f"{line}\n" for line in lines))]
    asked = encode(f"{question}\n")
    logits = model.network(mx.array([[*prompt, *asked]]))[0, len(prompt) - 1 : -1]
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    return mx.take_along_axis(logprobs, mx.array(asked)[:, None], axis=-1).mean()


def naive_posterior(model, question):
    told = [category_lines(label, KNOWN[label]) for label in LABELS[:-1]]
    return mx.softmax(
        4 * mx.stack([naive_score(model, lines, question) for lines in [*told, talk_lines()]])
    )


def test_a_category_is_told_by_its_description_and_examples():
    assert category_lines("largest", KNOWN["largest"])[1:] == ["31, 52, 47", "84, 17, 74"]
    assert category_lines("expression", KNOWN["expression"])[0] == "expression:"
    assert category_lines("kind", KNOWN["kind"]) == ["kind:"]
    assert len(set(talk_lines())) == 12


def test_categories_are_scored_by_the_question_behind_them(tiny_model):
    router = PromptRouter(tiny_model, KNOWN)
    assert isinstance(router, Router)
    assert router.labels == LABELS
    posterior = router.posterior(CHATS)
    assert posterior.shape == (3, 4)
    for row, question in zip(posterior, QUESTIONS, strict=True):
        assert_close(row, naive_posterior(tiny_model, question))


def test_neighbours_and_the_order_of_categories_change_nothing(tiny_model):
    expected = PromptRouter(tiny_model, KNOWN).posterior(CHATS)
    for order in itertools.permutations(KNOWN):
        router = PromptRouter(tiny_model, {label: KNOWN[label] for label in order})
        assert router.labels == LABELS
        assert mx.array_equal(router.posterior(CHATS), expected)
    assert_close(router.posterior(CHATS[1:2]), expected[1:2])


def test_the_question_is_read_under_the_base_weights(tiny_model, worn):
    router = PromptRouter(tiny_model, KNOWN)
    plain = router.posterior(CHATS)
    with tiny_model.using(worn):
        assert mx.array_equal(router.posterior(CHATS), plain)
        assert tiny_model.worn == worn


def test_the_prompts_of_the_categories_are_read_once(tiny_model, monkeypatch):
    router = PromptRouter(tiny_model, KNOWN)
    first = router.posterior(CHATS[:1]).tolist()
    for reader in (base_readings, logprobs):
        monkeypatch.setattr(reader, "prefill", None)  # who reads a prompt again fails
    assert router.posterior(CHATS[:1]).tolist() == first
    assert_close(router.posterior(CHATS[1:2])[0], naive_posterior(tiny_model, QUESTIONS[1]))


@pytest.mark.parametrize(
    ("labels", "got"), [((), "no labels"), (("kind", "other"), "kind, other")]
)
def test_a_router_needs_labels_other_than_the_base_models(tiny_model, labels, got):
    with pytest.raises(ConfigError, match=f"prompt router: got {got}, expected at least one"):
        PromptRouter(tiny_model, dict.fromkeys(labels, Category()))


def watch_scored(monkeypatch) -> list[list[int]]:
    """How long each question is that is scored behind a category, pass by pass."""
    passes, logprobs_of = [], prompt.completion_logprobs

    def watch(model, prompts, asked, **others):
        passes.append([len(question) for question in asked[0]])
        return logprobs_of(model, prompts, asked, **others)

    monkeypatch.setattr(prompt, "completion_logprobs", watch)
    return passes


def test_many_questions_are_scored_part_by_part(tiny_model, monkeypatch):
    expected = PromptRouter(tiny_model, KNOWN).posterior(CHATS)
    monkeypatch.setattr(prompt, "SCORED", 1)
    passes = watch_scored(monkeypatch)
    assert_close(PromptRouter(tiny_model, KNOWN).posterior(CHATS), expected)
    assert list(map(len, passes)) == [1, 1, 1]


def test_a_long_text_is_judged_by_its_beginning(tiny_model, monkeypatch):
    passes = watch_scored(monkeypatch)
    long = [{"role": "user", "content": "7, 4, 9, " * 500}]
    PromptRouter(tiny_model, KNOWN).posterior([long, CHATS[0]])
    assert passes[0][0] == prompt._LONGEST > passes[0][1]
