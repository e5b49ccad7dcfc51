"""Problems and their grading.

Knows where questions come from, how they are worded and which completions are right. Does not
know models, tokens or training: pure Python, without MLX.
"""

from .checking import GradedExample as GradedExample
from .checking import Verification as Verification
from .checking import grade_examples as grade_examples
from .checking import grade_one as grade_one
from .checking import verify_all as verify_all
from .checking import verify_references as verify_references
from .cls import CLS as CLS
from .cls import make_cls as make_cls
from .dataset import DatasetTask as DatasetTask
from .dataset import Row as Row
from .generated import GeneratedTask as GeneratedTask
from .generated import count_requests as count_requests
from .generated import grade_expressions as grade_expressions
from .generated import openings as openings
from .generated import ordinary_requests as ordinary_requests
from .generated import shared_prompt as shared_prompt
from .generated import system_messages as system_messages
from .public_sets import public_requests as public_requests
from .registry import get_task as get_task
from .registry import is_path as is_path
from .registry import task_names as task_names
from .source import read_rows as read_rows
from .splitting import PublicSet as PublicSet
from .task import ALL as ALL
from .task import OTHER as OTHER
from .task import REFERENCE as REFERENCE
from .task import SPLITS as SPLITS
from .task import Message as Message
from .task import Problem as Problem
from .task import Question as Question
from .task import Task as Task
from .task import describe_task as describe_task
from .task import example_questions as example_questions
from .task import question_of as question_of
from .task import shared_options as shared_options
