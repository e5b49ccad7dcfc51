"""Problems and their grading.

Knows where questions come from, how they are worded and which completions are right, and runs
untrusted code away from our process. Does not know models, tokens or training: pure Python,
without MLX.
"""

from .embedded import shared_prompt as shared_prompt
from .other import other_questions as other_questions
from .registry import get_task as get_task
from .registry import task_names as task_names
from .sandbox import SandboxResult as SandboxResult
from .sandbox import run_python as run_python
from .sandbox import sandbox_level as sandbox_level
from .task import SPLITS as SPLITS
from .task import Message as Message
from .task import Problem as Problem
from .task import Split as Split
from .task import Task as Task
from .task import question_of as question_of
