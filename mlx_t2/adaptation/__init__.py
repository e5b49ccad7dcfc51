"""The first pass: which scales a conversation is answered with.

Knows experts, a base model to ask, and a router to train; does not know how answers are
generated, graded or reported.
"""

from .classifier import ClassifierStrategy as ClassifierStrategy
from .examples import router_examples as router_examples
from .mixture import MixtureStrategy as MixtureStrategy
from .prompt import PromptStrategy as PromptStrategy
from .router import Router as Router
from .strategy import OTHER as OTHER
from .strategy import Adapted as Adapted
from .strategy import Conversation as Conversation
from .strategy import Experts as Experts
from .strategy import Named as Named
from .strategy import NoAdaptation as NoAdaptation
from .strategy import Strategy as Strategy
from .strategy import Sum as Sum
from .strategy import TrueLabel as TrueLabel
from .strategy import question_in as question_in
from .strategy import stack_rows as stack_rows
