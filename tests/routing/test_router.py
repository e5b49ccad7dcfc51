"""What all routers share."""

import doctest

import pytest

from mlx_t2.errors import ConfigError
from mlx_t2.routing import decide, measure_routes, question_in, router

CHAT = [
    {"role": "system", "content": "Answer."},
    {"role": "user", "content": "3, 8"},
    {"role": "assistant", "content": "8"},
    {"role": "user", "content": "7, 4"},
    {"role": "assistant", "content": "7"},
]


def test_the_question_is_the_last_user_message():
    assert question_in(CHAT) == "7, 4"


def test_a_conversation_without_a_user_has_no_question():
    with pytest.raises(ConfigError, match="first pass: got 1 messages and none from the user"):
        question_in(CHAT[:1])


@pytest.mark.parametrize(
    ("kind", "largest", "other", "threshold", "expected"),
    [
        (0.9, 0.0, 0.1, 0.9, "kind"),
        (0.89, 0.0, 0.11, 0.9, "other"),
        (0.5, 0.45, 0.05, 0.9, "kind"),  # some expert is meant
        (0.3, 0.3, 0.4, 0.5, "other"),  # and yet other is the most probable
        (0.3, 0.3, 0.4, 0.0, "other"),
        (0.4, 0.3, 0.3, 0.0, "kind"),
    ],
)
def test_whoever_is_not_sure_says_other(kind, largest, other, threshold, expected):
    scores = {"kind": kind, "largest": largest, "other": other}
    assert decide(scores, threshold) == expected


def test_routes_are_counted():
    truth = ["a", "a", "b", "b", "b", "other", "other", "other", "other"]
    chosen = ["a", "b", "b", "b", "other", "other", "a", "other", "other"]
    assert measure_routes(truth, chosen) == {
        "checked": 9,
        "accuracy": pytest.approx(6 / 9),
        "ordinary": 4,
        "adapted": 1,
        "recall": {"a": 0.5, "b": pytest.approx(2 / 3)},
    }


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(router).failed == 0
