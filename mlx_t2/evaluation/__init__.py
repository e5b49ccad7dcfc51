"""Measuring: a task through a strategy, with intervals, paired tests and files of answers.

Knows tasks, strategies and decoding; does not know training, charts or a terminal.
"""

from .answering import Asked as Asked
from .answering import evaluate as evaluate
from .answering import evaluate_all as evaluate_all
from .comparison import Comparison as Comparison
from .comparison import compare as compare
from .comparison import compare_all as compare_all
from .harness import run_harness as run_harness
from .items import GradedItem as GradedItem
from .items import read_items as read_items
from .items import write_items as write_items
from .kept import evaluate_into as evaluate_into
from .report import Report as Report
from .report import Share as Share
from .report import by_kind as by_kind
from .report import commonest_answer as commonest_answer
from .scores import Paired as Paired
from .scores import bootstrap as bootstrap
from .scores import bootstrap_mean as bootstrap_mean
from .scores import clustered_wilson as clustered_wilson
from .scores import confusion as confusion
from .scores import effective_count as effective_count
from .scores import holm as holm
from .scores import mcnemar as mcnemar
from .scores import pass_at as pass_at
from .scores import smallest_difference as smallest_difference
from .scores import wilson as wilson
