"""The router that an expert trained on `cls` is."""

import mlx.core as mx
import pytest
from helpers import assert_close, random_scales

from mlx_t2.errors import ConfigError
from mlx_t2.models import decompose
from mlx_t2.reading import BasePrompt
from mlx_t2.routing import ClsRouter, Router, find_threshold
from mlx_t2.routing.calibration import choose_threshold
from mlx_t2.sampling import score_options, weigh
from mlx_t2.tasks import Problem

LABELS = ("kind", "largest", "other")
CHATS = [[{"role": "user", "content": text}] for text in ("7, 4, 9", "my old plum", "hello")]


def make(model, acts_on="answer"):
    return ClsRouter(decompose(model), LABELS, random_scales(model.shapes, 3), acts_on)


@pytest.mark.parametrize("acts_on", ["all", "answer"])
def test_it_is_the_policy_over_the_labels(tiny_model, acts_on):
    decompose(tiny_model)
    router = make(tiny_model, acts_on)
    assert isinstance(router, Router)
    posterior = router.posterior(CHATS)
    prompts = [tiny_model.encode(chat) for chat in CHATS]
    with tiny_model.using(random_scales(tiny_model.shapes, 3), acts_on=acts_on):
        choices = score_options(tiny_model, prompts, [LABELS] * 3)
    for row, choice in zip(posterior, choices, strict=True):
        assert_close(row, weigh(choice.scores))
    plain = tiny_model.worn
    assert plain == {}


def test_what_the_base_has_read_is_gone_on_from_and_left_as_it_was(tiny_model):
    decompose(tiny_model)
    router = make(tiny_model)
    expected = router.posterior(CHATS)
    read = [BasePrompt(tiny_model, tiny_model.encode(chat)) for chat in CHATS]
    assert_close(router.posterior(CHATS, read), expected)
    assert_close(router.posterior(CHATS, read), expected)
    for prompt in read:
        logits = tiny_model.logits_at(
            mx.array([prompt.tokens[-1:]]), prompt.caches, mx.arange(1)
        )
        plain = tiny_model.network(mx.array([prompt.tokens]))[0, -1]
        assert_close(logits[0], plain)


@pytest.mark.parametrize("labels", [(), ("other",), ("kind", "largest")])
def test_labels_are_some_and_other(tiny_model, labels):
    with pytest.raises(ConfigError, match=r"cls: got labels .* expected some, and 'other'"):
        ClsRouter(tiny_model, labels, {})


class Sure:
    """A router that says of a question what is written in it."""

    labels = ("kind", "largest", "other")
    threshold = 0.5
    model = None

    def posterior(self, conversations, read=()):
        return mx.array(
            [[float(p) for p in chat[-1]["content"].split()] for chat in conversations]
        )


def ask(answer: str, *posterior: float) -> Problem:
    text = " ".join(map(str, posterior))
    return Problem(text, ({"role": "user", "content": text},), answer, answer, "cls")


def test_a_question_that_another_label_is_surer_of_does_not_lower_the_threshold():
    ordinary = [ask("other", 0.5, 0.1, 0.4)] * 50
    wrong = ask("kind", 0.05, 0.6, 0.35)
    right = ask("kind", 0.95, 0.0, 0.05)
    expected = choose_threshold([0.6] * 50, [0.95])
    assert find_threshold(Sure(), [*ordinary, wrong, right]) == pytest.approx(
        expected, abs=1e-6
    )
    assert choose_threshold([0.6] * 50, [0.65, 0.95]) < expected - 0.01
