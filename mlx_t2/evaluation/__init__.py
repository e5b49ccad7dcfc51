"""Measuring: a task through a strategy, with intervals, paired tests and files of answers.

Knows tasks, strategies and greedy decoding; does not know training, charts or a terminal.
"""

from .answering import GradedItem as GradedItem
from .answering import evaluate as evaluate
from .report import Comparison as Comparison
from .report import Report as Report
from .report import Share as Share
from .report import by_kind as by_kind
from .report import commonest_answer as commonest_answer
from .report import compare as compare
from .report import read_items as read_items
from .report import write_items as write_items
from .scores import Paired as Paired
from .scores import bootstrap as bootstrap
from .scores import confusion as confusion
from .scores import mcnemar as mcnemar
from .scores import wilson as wilson
