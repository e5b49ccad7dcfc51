"""What all routers share."""

import pytest

from mlx_t2.errors import ConfigError
from mlx_t2.routing import question_in

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
