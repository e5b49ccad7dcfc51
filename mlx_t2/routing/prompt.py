"""The base model is asked which category a question belongs to, and answers by how well the
question goes on from each category's own.

Knows the base model as its only judge; knows no training and no hidden states.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import mlx.core as mx
from jaxtyping import Float

from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.reading import SCORED, BasePrompt, BaseReadings, completion_logprobs, in_parts
from mlx_t2.tasks import OTHER, ordinary_requests, question_of

from .router import Conversation, question_in

_TALK = 12
"""Lines of small talk in the prompt of `other`: chosen on validation among 0, 6, 12 and 24."""
_SHARPNESS = 4.0
"""What log-probabilities per token are multiplied by: chosen on validation from 1 to 8."""
_LONGEST = 256
"""Tokens of a question that are scored, the first ones: they tell what it is, and a long text
takes no more memory.
"""


@dataclass(frozen=True)
class Category:
    """What the base model is told of one label."""

    description: str = ""
    """What its questions are, in one line."""
    examples: tuple[str, ...] = ()
    """A few of them."""


class PromptRouter:
    """How well a question goes on from the questions of each category, as the base model reads
    it. A category's prompt is its description and examples, line by line; that of `other` is
    small talk. With n the tokens of the question q,

        p(c | q) = softmax_c [ 4/n · log π(q | prompt of c) ].

    A small model cannot name the category: asked for its name, the default model says the same
    one whatever the question. But it reads a question of three numbers more easily behind two
    others of three numbers. The mean over the tokens makes long questions no surer than short
    ones, and `other`, which is free of any category, is what the others are measured by. The
    question is the last user message alone: example turns would give the domain away.

    Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, section 3.2 A, for asking the base model;
    Min et al. 2022, arXiv:2108.04106, for scoring the question; Zhao et al. 2021,
    arXiv:2102.09690, for the content-free prompt.
    Differs (8): the question is scored behind every category, no answer is generated and parsed
    from \\boxed{}: none is unreadable, and no token is decoded.
    """

    threshold = 0.99
    """Chosen on validation: there 9 of 10 questions of the generated domains reach their expert
    and 1 of 20 ordinary requests is adapted. A head, which learns from ordinary requests,
    adapts fewer than 1 in 100: no threshold makes this router as careful and is of use.
    """

    def __init__(self, model: SVFModel, categories: Mapping[str, Category]):
        """categories: {label: what is known of it}; in any order.

        Raises: ConfigError for no labels, or for `other` among them.
        """
        if not categories or OTHER in categories:
            raise ConfigError(
                f"prompt router: got {', '.join(categories) or 'no labels'}, expected at least "
                f"one, and none called {OTHER!r}, which means the base model"
            )
        self.labels = (*sorted(categories), OTHER)
        self.model = model
        self._categories = dict(categories)

    @cached_property
    def _prompts(self) -> list[list[int]]:
        """The tokens of the prompt of each label."""
        told = [category_lines(label, self._categories[label]) for label in self.labels[:-1]]
        return [self._begin(lines) for lines in (*told, talk_lines())]

    def posterior(
        self, conversations: Sequence[Conversation], read: Sequence[BasePrompt] = ()
    ) -> Float[mx.array, "B K"]:
        """The probability of each category, lazily, but for many questions, which are read part
        by part; it reads them in prompts of its own, whatever has been read.
        """
        questions = [self._encode(question_in(chat))[:_LONGEST] for chat in conversations]
        parts = in_parts(questions, SCORED // len(self._prompts))
        found = []
        for part in parts:
            found.append(self._score(part))
            if len(parts) > 1:
                mx.eval(found[-1])
        return mx.concatenate(found)

    def _score(self, questions: Sequence[Sequence[int]]) -> Float[mx.array, "B K"]:
        """The probabilities, from all questions at once."""
        with self.model.using({}, acts_on="answer"):
            asked = [questions] * len(self._prompts)
            logprobs = completion_logprobs(
                self.model, self._prompts, asked, readings=self._readings
            )
        lengths = [len(question) for question in questions]
        ends = [sum(lengths[: i + 1]) for i in range(len(lengths) - 1)]
        by_prompt = logprobs.reshape(len(self._prompts), sum(lengths))
        parts = mx.split(by_prompt, ends, axis=1)
        means = mx.stack([mx.mean(part, axis=1) for part in parts])
        return mx.softmax(_SHARPNESS * means, axis=-1)

    @cached_property
    def _readings(self) -> BaseReadings:
        """The categories' prompts, read with the first question and kept for all others."""
        return BaseReadings(self.model)

    def _begin(self, lines: Sequence[str]) -> list[int]:
        """A text of these lines, the start token first where there is one."""
        start = self.model.tokenizer.bos_token_id
        text = self._tokens("".join(f"{line}\n" for line in lines))
        return text if start is None else [start, *text]

    def _encode(self, question: str) -> list[int]:
        return self._tokens(f"{question}\n")

    def _tokens(self, text: str) -> list[int]:
        return list(self.model.tokenizer.encode(text, add_special_tokens=False))


def category_lines(label: str, category: Category) -> list[str]:
    """What stands before a question of the category.

    >>> category_lines("largest", Category("the largest of three numbers", ("31, 52, 47",)))
    ['the largest of three numbers:', '31, 52, 47']
    """
    return [f"{category.description or label}:", *category.examples]


def talk_lines() -> list[str]:
    """Small talk, as what stands before a request of no category."""
    talk = ordinary_requests("train", 4 * _TALK)
    lines = [question_of(problem)["content"] for problem in talk if len(problem.messages) == 1]
    return lines[:_TALK]
