"""Three generated domains that need no download, and ordinary requests that belong to none.

Knows how questions are made, worded, split and graded; does not know models, and of tasks only
what a problem is.
"""

from .expressions import grade_expressions as grade_expressions
from .generated_task import GeneratedTask as GeneratedTask
from .generated_task import generated_tasks as generated_tasks
from .ordinary import count_requests as count_requests
from .ordinary import openings as openings
from .ordinary import ordinary_requests as ordinary_requests
from .ordinary import system_messages as system_messages
from .prompts import shared_prompt as shared_prompt
