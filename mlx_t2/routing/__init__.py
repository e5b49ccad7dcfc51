"""Conversations → how probable each label is: a posterior (B, K), as a lazy array.

A label is a domain that an expert answers for, or `other`. Knows models, their hidden states
and tasks to learn from; does not know experts, scales, or what is done with a posterior.
"""

from .examples import router_examples as router_examples
from .head import HeadRouter as HeadRouter
from .prompt import PromptRouter as PromptRouter
from .router import Conversation as Conversation
from .router import Router as Router
from .router import question_in as question_in
