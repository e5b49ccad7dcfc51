"""Problems and their grading.

Knows where questions come from, how they are worded and which completions are right. Does not
know models, tokens or training: pure Python, without MLX.
"""

from .dataset import DatasetTask as DatasetTask
from .dataset import Row as Row
from .generated import other_questions as other_questions
from .generated import shared_prompt as shared_prompt
from .registry import get_task as get_task
from .registry import task_names as task_names
from .source import read_rows as read_rows
from .splitting import PublicSet as PublicSet
from .task import ALL as ALL
from .task import OTHER as OTHER
from .task import SPLITS as SPLITS
from .task import Message as Message
from .task import Problem as Problem
from .task import Question as Question
from .task import Task as Task
from .task import question_of as question_of
