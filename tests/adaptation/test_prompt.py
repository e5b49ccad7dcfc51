"""The prompt strategy against one plain forward pass for each category."""

import mlx.core as mx
from helpers import assert_close

from mlx_t2.adaptation import PromptStrategy
from mlx_t2.adaptation.prompt import answer_ids, ask

EXAMPLES = [
    {"role": "user", "content": "the item first of list q"},
    {"role": "assistant", "content": "q[0]"},
]
QUESTIONS = ["7, 4, 9", "the length of the list ages", "my old plum"]
CHATS = [[*EXAMPLES, {"role": "user", "content": question}] for question in QUESTIONS]


def naive_posterior(model, labels, question):
    """One full forward a label: softmax over log π(label, end | question)."""
    prompt, scores = model.encode(ask(labels, question)), []
    for label in labels:
        answer = answer_ids(model, label)
        logits = model.network(mx.array([[*prompt, *answer]]))[0, len(prompt) - 1 : -1]
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        scores.append(mx.take_along_axis(logprobs, mx.array(answer)[:, None], axis=-1).sum())
    return mx.softmax(mx.stack(scores))


def test_the_prompt_names_every_category_and_shows_the_question_only():
    system, user = ask(("largest", "expression", "other"), "7, 4, 9")
    assert "largest, code or other" in system["content"]
    assert user["role"] == "user"
    assert user["content"].endswith("7, 4, 9")


def test_an_answer_is_the_name_and_the_end_token(tiny_model):
    *name, end = answer_ids(tiny_model, "expression")
    assert tiny_model.decode(name) == "expression"
    assert end in tiny_model.eos_ids


def test_categories_are_scored_as_whole_answers(tiny_model, experts):
    adapted = PromptStrategy(experts).adapt(tiny_model, CHATS)
    labels = (*experts, "other")
    for one, question in zip(adapted, QUESTIONS, strict=True):
        expected = naive_posterior(tiny_model, labels, question)
        assert_close(mx.array(list(one.scores.values())), expected)
        assert tuple(one.scores) == labels
        assert one.label == labels[mx.argmax(expected).item()]


def test_the_question_is_asked_under_the_base_weights(tiny_model, experts):
    strategy = PromptStrategy(experts)
    plain = strategy.adapt(tiny_model, CHATS)
    with tiny_model.using(experts["expression"].scales):
        assert strategy.adapt(tiny_model, CHATS) == plain
        assert tiny_model.worn == experts["expression"].scales
