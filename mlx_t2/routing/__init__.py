"""Conversations → how probable each label is: a posterior (B, K), as a lazy array.

A label is a domain that an expert answers for, or `other`. Knows models, their hidden states
and tasks to learn from; does not know experts, scales, or what is done with a posterior.
"""

from .calibration import LEAST_THRESHOLD as LEAST_THRESHOLD
from .examples import Examples as Examples
from .examples import router_examples as router_examples
from .head import HeadRouter as HeadRouter
from .head import depths as depths
from .head import in_order as in_order
from .head import read_states as read_states
from .head_file import RouterNames as RouterNames
from .head_file import fingerprint_in as fingerprint_in
from .head_file import names_in as names_in
from .judge import ClsRouter as ClsRouter
from .judge import find_threshold as find_threshold
from .prompt import Category as Category
from .prompt import PromptRouter as PromptRouter
from .router import Conversation as Conversation
from .router import Router as Router
from .router import decide as decide
from .router import measure_routes as measure_routes
from .router import question_in as question_in
