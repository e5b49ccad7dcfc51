"""The base model is asked which category a question belongs to.

Knows the base model as its only judge; knows no training and no hidden states.
"""

from collections.abc import Sequence

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.reading import BasePrompt, score
from mlx_t2.tasks import OTHER, Message, category_message

from .router import Conversation, question_in


class PromptRouter:
    """The base model's own belief in each category.

    With q the question put into a chat prompt that names the categories, and ⟨end⟩ the end
    token,

        p(c | q) = softmax_c [ log π(c, ⟨end⟩ | q) ],

    all categories scored after one batched prefill. The end token makes it fair to names of any
    length: each is a whole answer, and none gains from being the beginning of another. The
    question is the last user message alone: example turns would give the domain away.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2 A.
    Differs (8): the answer is scored over the categories, not generated and parsed from
    \\boxed{}: no answer is unreadable, and no token is decoded.
    """

    threshold = 0.0
    """The base model's beliefs are not calibrated: the most probable category it is."""

    def __init__(self, model: SVFModel, domains: Sequence[str]):
        """domains: named in alphabetical order, whatever order they are given in.

        Raises: ConfigError for no domains, or for `other` among them.
        """
        if not domains or OTHER in domains:
            raise ConfigError(
                f"prompt router: got {', '.join(domains) or 'no domains'}, expected at least "
                f"one, and none called {OTHER!r}, which means the base model"
            )
        self.labels = (*sorted(domains), OTHER)
        self.model = model
        self._answers = [whole_answer(model, label) for label in self.labels]

    def posterior(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> Float[mx.array, "B K"]:
        """The probability of each category, lazily; it asks a question of its own, whatever has
        been read.
        """
        prompts = [
            self.model.encode(category_prompt(self.labels, question_in(conversation)))
            for conversation in conversations
        ]
        with self.model.using({}):
            return mx.softmax(score(self.model, prompts, self._answers), axis=-1)


def category_prompt(labels: Sequence[str], question: str) -> list[Message]:
    """The chat prompt that asks for the category of `question`."""
    return [category_message(labels), {"role": "user", "content": question}]


def whole_answer(model: SVFModel, label: str) -> list[int]:
    """The tokens of the label, and the end token."""
    tokenizer = model.tokenizer
    return [*tokenizer.encode(label, add_special_tokens=False), tokenizer.eos_token_id]
