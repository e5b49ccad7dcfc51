"""The prompt strategy: the base model is asked which category the question belongs to.

Knows the base model as its only judge; knows no training and no hidden states.
"""

from collections.abc import Sequence

import mlx.core as mx

from mlx_t2.models import SVFModel
from mlx_t2.reading import score
from mlx_t2.tasks import Message

from .strategy import OTHER, Adapted, Conversation, Experts, check_labels, choose, question_in


class PromptStrategy:
    """The expert of the category that the base model finds most probable; itself for `other`.

    With q the question put into a chat prompt that names the categories, and ⟨end⟩ the end
    token,

        p(c | q) = softmax_c [ log π(c, ⟨end⟩ | q) ],

    all categories scored after one batched prefill. The end token makes it fair to names of any
    length: each is a whole answer, and none gains from being the beginning of another.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2 A.
    Differs (3): the answer is scored over the categories, not generated and parsed from
    \\boxed{}: there is no answer that cannot be read, and no token is decoded.
    Differs (4): the question is the last user message alone; example turns would give the
    domain away.
    """

    name = "prompt"
    is_fixed = False

    def __init__(self, experts: Experts):
        check_labels(experts)
        self._experts = experts
        self._labels = (*experts, OTHER)

    def adapt(self, model: SVFModel, conversations: Sequence[Conversation]) -> list[Adapted]:
        """The most probable category's expert for each conversation."""
        prompts = [model.encode(ask(self._labels, question_in(c))) for c in conversations]
        answers = [answer_ids(model, label) for label in self._labels]
        with model.using({}):
            likelihood = score(model, prompts, answers)
        return choose(self._experts, self._labels, mx.softmax(likelihood, axis=-1))


def ask(labels: Sequence[str], question: str) -> list[Message]:
    """The chat prompt that asks for the category of `question`."""
    categories = f"{', '.join(labels[:-1])} or {labels[-1]}"
    return [
        {"role": "system", "content": f"Classify the question. Answer {categories}."},
        {"role": "user", "content": question},
    ]


def answer_ids(model: SVFModel, label: str) -> list[int]:
    """The label as a whole answer: its tokens and the end token."""
    return [
        *model.tokenizer.encode(label, add_special_tokens=False),
        model.tokenizer.eos_token_id,
    ]
