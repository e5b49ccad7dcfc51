"""The prompt router against one plain forward pass for each category."""

import itertools

import mlx.core as mx
import pytest
from helpers import assert_close

from mlx_t2.errors import ConfigError
from mlx_t2.routing import PromptRouter, Router
from mlx_t2.routing.prompt import category_prompt, whole_answer

DOMAINS = ("largest", "expression", "kind")
LABELS = ("expression", "kind", "largest", "other")
EXAMPLES = [
    {"role": "user", "content": "the item first of list q"},
    {"role": "assistant", "content": "q[0]"},
]
QUESTIONS = ["7, 4, 9", "the length of the list ages", "my old plum"]
CHATS = [[*EXAMPLES, {"role": "user", "content": question}] for question in QUESTIONS]


def naive_posterior(model, question):
    """One full forward per label: softmax over log π(label, end | question)."""
    prompt, scores = model.encode(category_prompt(LABELS, question)), []
    for label in LABELS:
        answer = whole_answer(model, label)
        logits = model.network(mx.array([[*prompt, *answer]]))[0, len(prompt) - 1 : -1]
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        scores.append(mx.take_along_axis(logprobs, mx.array(answer)[:, None], axis=-1).sum())
    return mx.softmax(mx.stack(scores))


def test_the_prompt_names_every_category_and_shows_the_question_only():
    system, user = category_prompt(LABELS, "7, 4, 9")
    assert "expression, kind, largest or other" in system["content"]
    assert user == {"role": "user", "content": "7, 4, 9"}


def test_an_answer_is_the_name_and_the_end_token(tiny_model):
    *name, end = whole_answer(tiny_model, "expression")
    assert tiny_model.decode(name) == "expression"
    assert end in tiny_model.eos_ids


def test_categories_are_scored_as_whole_answers(tiny_model):
    router = PromptRouter(tiny_model, DOMAINS)
    assert isinstance(router, Router)
    assert router.labels == LABELS
    posterior = router.posterior(CHATS)
    assert posterior.shape == (3, 4)
    for row, question in zip(posterior, QUESTIONS, strict=True):
        assert_close(row, naive_posterior(tiny_model, question))


def test_the_order_of_domains_changes_nothing(tiny_model):
    expected = PromptRouter(tiny_model, DOMAINS).posterior(CHATS)
    for order in itertools.permutations(DOMAINS):
        router = PromptRouter(tiny_model, order)
        assert router.labels == LABELS
        assert mx.array_equal(router.posterior(CHATS), expected)


def test_the_question_is_asked_under_the_base_weights(tiny_model, worn):
    router = PromptRouter(tiny_model, DOMAINS)
    plain = router.posterior(CHATS)
    with tiny_model.using(worn):
        assert mx.array_equal(router.posterior(CHATS), plain)
        assert tiny_model.worn == worn


@pytest.mark.parametrize(
    ("domains", "got"), [((), "no domains"), (("kind", "other"), "kind, other")]
)
def test_a_router_needs_domains_other_than_the_base_models(tiny_model, domains, got):
    with pytest.raises(ConfigError, match=f"prompt router: got {got}, expected at least one"):
        PromptRouter(tiny_model, domains)
